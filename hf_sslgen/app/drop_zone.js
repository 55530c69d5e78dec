// Sends dropped or chosen files to the app one by one, each with its path below the dropped folder.
const zone = element.querySelector(".drop-zone");
const said = element.querySelector(".drop-said");
const MOST = Number(zone.dataset.most);
const AT_ONCE = 4;

const say = (text) => { said.textContent = text; };

async function inside(entry, path) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [[path + file.name, file]];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) { // a reader gives at most 100 entries at a time
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return found;
    for (const each of entries) {
      found.push(...await inside(each, `${path}${entry.name}/`));
      if (found.length > MOST) return found;
    }
  }
}

async function send(files) {
  if (!files.length) return;
  if (files.length > MOST) {
    say(`There are more than ${MOST.toLocaleString("en")} files: name their folder below instead.`);
    return;
  }
  const token = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  let next = 0, done = 0, kept = 0;
  const work = async () => {
    while (next < files.length) {
      const [name, file] = files[next++];
      const reply = await fetch(`dropped/${token}?name=${encodeURIComponent(name)}`, { method: "PUT", body: file });
      const text = await reply.text();
      if (!reply.ok) { next = files.length; throw new Error(text); }
      if (text === "kept") kept++;
      say(`Reading ${++done} of ${files.length} files.`);
    }
  };
  zone.setAttribute("aria-busy", "true");
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const skipped = done - kept;
    say(`${kept} of ${done} files read${skipped ? `; ${skipped} left out (not pictures)` : ""}.`);
    trigger("upload", { token });
  } catch (error) {
    say(`Not read: ${error.message}`);
  } finally {
    zone.removeAttribute("aria-busy");
  }
}

for (const input of element.querySelectorAll("input[type=file]")) {
  input.addEventListener("change", () => {
    const files = [...input.files].map((file) => [file.webkitRelativePath || file.name, file]);
    input.value = "";
    send(files);
  });
}
for (const button of element.querySelectorAll("button[data-opens]")) {
  button.addEventListener("click", () => element.querySelector(`#${button.dataset.opens}`).click());
}
zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
zone.addEventListener("dragleave", () => zone.classList.remove("over"));
zone.addEventListener("drop", async (event) => {
  event.preventDefault();
  zone.classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const files = [];
  try {
    for (const entry of entries) files.push(...await inside(entry, ""));
  } catch (error) {
    say(`Not read: ${error.message}`);
    return;
  }
  send(files);
});
zone.dataset.ready = "";
