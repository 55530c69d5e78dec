// Click a header to sort by it, click again to reverse the order. Cells without a number stay last.
addEventListener("click", event => {
  const header = event.target.closest?.("table.sortable th");
  if (!header || !event.target.closest("button")) return;
  const [table, column] = [header.closest("table"), header.cellIndex];
  const body = table.tBodies[0];
  const descending = header.getAttribute("aria-sort") === "ascending";
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const key = row => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const numeric = body.rows.length > 0 && "sort" in body.rows[0].cells[column].dataset;
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (numeric && (x === "" || y === "")) return (x === "") - (y === "");
    const order = numeric ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
    return descending ? -order : order;
  };
  body.append(...[...body.rows].sort(compare));
});

// Large parts are stored compressed, and unpacked when their details are opened.
const unpack = async note => {
  const packed = note.nextElementSibling;
  note.classList.remove("packed");
  const bytes = Uint8Array.from(atob(packed.textContent), character => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const part = document.createElement("template");
  part.innerHTML = await new Response(stream).text();
  packed.replaceWith(part.content);
  note.remove();
};
const unpackOf = details => { for (const note of details.querySelectorAll(":scope > .packed")) unpack(note); };
addEventListener("toggle", event => { if (event.target.open) unpackOf(event.target); }, true);
document.querySelectorAll("details[open]").forEach(unpackOf);

// A link to a domain unfolds it, also when the page is opened through such a link.
const unfold = target => { for (const details of target?.closest("section.domain")?.querySelectorAll("details.domain") ?? []) details.open = true; };
const linked = () => unfold(document.getElementById(decodeURIComponent(location.hash.slice(1))));
addEventListener("hashchange", linked);
linked();

// One button unfolds or folds all domains; printing unfolds everything.
const domains = [...document.querySelectorAll("details.domain")];
const button = document.querySelector("button.fold");
const fold = open => {
  domains.forEach(details => { details.open = open; });
  button?.setAttribute("aria-expanded", String(open));
};
button?.addEventListener("click", () => fold(button.getAttribute("aria-expanded") !== "true"));
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(details => { details.open = true; }));
