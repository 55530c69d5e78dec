// The details of one cell, in a dialog that opens when its dot is clicked.
const dialog = document.getElementById("cell");

const cellWords = cell => {
  const runs = cell.pretrainingSeed === null ? [] : [`run ${cell.pretrainingSeed}`];
  return [...runs, ...(cell.protocol === "pretrained" ? [] : [`seed ${cell.seed}`])].join(", ") || "published";
};

const numbersTable = (data, cell) => shownTable(["Number", "Value", "95% interval", "n", "Note"], Object.entries(cell.values).map(([index, value]) => {
  const number = data.numbers[index];
  return [number.title + (number.unit.trim() ? ` (${number.unit.trim()})` : ""), [value[0], shownValue(value, number)], shownInterval(value, number) || "–", [value[3], String(value[3])], value[4] ?? ""];
}), `Numbers of ${cell.short} on ${cell.domain}`);

const showCell = async (data, at) => {
  const cell = data.cells[at];
  const body = dialog.querySelector(".body");
  dialog.querySelector("h2").textContent = `${cell.short} on ${cell.domain}`;
  const others = data.cells.map((other, index) => ({ other, index })).filter(({ other }) =>
    other.short === cell.short && other.domain === cell.domain && other.protocol === cell.protocol && other.labels === cell.labels);
  const place = make("div", { class: "cell-details" }, make("p", { class: "soft" }, "Unpacking …"));
  const parts = [make("p", { class: "soft" }, `${cell.name}: ${cell.objective}; ${cell.setting}; ${cellWords(cell)}.`)];
  if (others.length > 1) parts.push(make("p", { class: "runs-of" }, "Runs: ", ...others.map(({ other, index }) => make("button", {
    type: "button", "aria-pressed": String(index === at), onclick: () => setState({ cell: String(index) }) }, cellWords(other)))));
  if (cell.published !== undefined) parts.push(make("p", {}, make("button", { type: "button", onclick: () => setState({ cell: String(cell.published) }) }, "Show the encoder as published")));
  if (Object.keys(cell.values).length) parts.push(numbersTable(data, cell));
  body.replaceChildren(...parts, place);
  addCopyButtons(body);
  const details = await unpackedJson(`cell-${at}`);
  place.replaceChildren();
  if (details) renderCellDetails(place, details, accessiblePlot, (await unpackedJson("cell-pictures")) ?? []);
  else place.append(make("p", { class: "soft" }, "To keep this page small, it has no further details of this run. Its numbers are in results.csv."));
};

const openCell = (data, at, number) => setState({ cell: String(number?.isPublished ? data.cells[at].published ?? at : at) });

const followCell = data => {
  const at = Number(state.cell);
  if (!state.cell || !data.cells[at]) { if (dialog.open) dialog.close(); return; }
  if (!dialog.open) dialog.showModal();
  showCell(data, at);
};
dialog.addEventListener("close", () => { if (state.cell) setState({ cell: "" }); });
dialog.querySelector("button.close").addEventListener("click", () => dialog.close());
