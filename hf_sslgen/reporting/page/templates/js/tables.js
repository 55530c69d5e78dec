// Tables: sort by a header, copy as CSV, LaTeX or Markdown, and unpack parts that are stored compressed.
const sortKey = cell => cell.dataset.sort ?? cell.querySelector("data")?.value ?? cell.textContent.trim();

// Click a header to sort by it, click again to reverse the order. Cells without a number stay last.
addEventListener("click", event => {
  const header = event.target.closest?.("table.sortable th");
  if (!header || !event.target.closest("button.sort")) return;
  const [table, column] = [header.closest("table"), header.cellIndex];
  const descending = header.getAttribute("aria-sort") === "ascending";
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = table.tBodies[0];
  const numeric = [...body.rows].some(row => "sort" in row.cells[column].dataset);
  const compare = (a, b) => {
    const [x, y] = [sortKey(a.cells[column]), sortKey(b.cells[column])];
    if (numeric && (x === "" || y === "")) return (x === "") - (y === "");
    const order = numeric ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
    return descending ? -order : order;
  };
  body.append(...[...body.rows].sort(compare));
});

const copyText = async (text, done) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { class: "unseen", "aria-hidden": "true" }, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  announce(done);
};

// The visible rows of a table as text; numbers of CSV have all their digits, and their interval as two columns if known.
const textOf = element => {
  const copy = element.cloneNode(true);
  for (const part of copy.querySelectorAll(".track, [aria-hidden=true]")) part.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
};
const rowsOf = (table, full) => [...table.rows].filter(row => !row.hidden && !row.classList.contains("groups")).map(row =>
  [...row.cells].map(cell => (full && cell.querySelector("data")?.getAttribute("value")) || textOf(cell)));

const FORMULA = /^'*(\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])/;
const PLAIN_NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const csvField = text => {
  const safe = FORMULA.test(text) && !PLAIN_NUMBER.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
const LATEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", [MINUS]: "$-$", "–": "--" };
const latexField = text => text.replace(/[\\~^&%$#_{}\u2212–]/g, character => LATEX[character] ?? `\\${character}`);
const markdownField = text => text.replace(/[\\|`*_[\]<>]/g, character => character === "<" ? "&lt;" : character === ">" ? "&gt;" : `\\${character}`);

const copies = {
  CSV: table => rowsOf(table, true).map(row => row.map(csvField).join(",")).join("\n"),
  LaTeX: table => {
    const rows = rowsOf(table, false).map(row => `${row.map(latexField).join(" & ")} \\\\`);
    const columns = Math.max(...[...table.rows].map(row => row.cells.length));
    return [`\\begin{tabular}{l${"r".repeat(columns - 1)}}`, "\\toprule", rows[0], "\\midrule", ...rows.slice(1), "\\bottomrule", "\\end{tabular}"].join("\n");
  },
  Markdown: table => {
    const rows = rowsOf(table, false).map(row => `| ${row.map(markdownField).join(" | ")} |`);
    return [rows[0], `|${"---|".repeat(table.rows[0] ? rowsOf(table, false)[0].length : 0)}`, ...rows.slice(1)].join("\n");
  },
};

const addCopyButtons = root => {
  for (const table of root.querySelectorAll("table")) {
    if (table.dataset.copies || table.classList.contains("overlays")) continue;
    table.dataset.copies = "yes";
    const name = table.caption?.textContent.trim().slice(0, 60) ?? "table";
    const buttons = Object.keys(copies).map(kind => make("button", {
      type: "button", "aria-label": `Copy as ${kind}: ${name}`, onclick: () => copyText(copies[kind](table), `Copied as ${kind}.`),
    }, kind));
    (table.closest(".scroll") ?? table).after(make("p", { class: "copy" }, "Copy as ", ...buttons));
  }
};

const unpack = async note => {
  const packed = note.nextElementSibling;
  note.classList.remove("packed");
  const part = make("template");
  part.innerHTML = await unpacked(packed.textContent);
  const parent = packed.parentElement;
  packed.replaceWith(part.content);
  note.remove();
  addCopyButtons(parent);
  applyFilters();
};
const unpackOf = details => { for (const note of details.querySelectorAll(":scope > .packed")) unpack(note); };
addEventListener("toggle", event => { if (event.target.open) unpackOf(event.target); }, true);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(details => { details.open = true; }));
