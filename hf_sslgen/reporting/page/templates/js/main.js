// Begin: read the data, build the filters, and draw each section when it comes into view.
const drawn = new WeakSet();

// Pictures name their backbones as the rest of the page does, with the full name on hover.
const shortenNames = data => {
  const short = new Map(data.cells.map(cell => [cell.name, cell.short]));
  for (const header of document.querySelectorAll("th[data-backbone]")) {
    header.textContent = short.get(header.dataset.backbone) ?? header.dataset.backbone;
    header.dataset.tip = header.dataset.backbone;
  }
  for (const strip of document.querySelectorAll(".strip")) {
    const names = JSON.parse(strip.dataset.backbones).map(name => short.get(name) ?? name);
    strip.querySelector("h5").textContent = names.length === 2 ? `${names[0]} is right, ${names[1]} is wrong` : names[0];
  }
};

const start = async () => {
  const data = await unpackedJson("page-data");
  readState();
  buildFilters(data);
  applyFilters();
  addCopyButtons(document);
  document.querySelectorAll("details[open]").forEach(unpackOf);
  shortenNames(data);
  drawTradeoff(data);
  const sections = [...document.querySelectorAll("section[data-section]")];
  const inView = new IntersectionObserver(entries => {
    for (const { isIntersecting, target } of entries) if (isIntersecting && !drawn.has(target)) { drawn.add(target); drawSection(data, target); }
  }, { rootMargin: "600px" });
  sections.forEach(section => inView.observe(section));
  const redraw = section => { if (drawn.has(section)) drawSection(data, section); };
  listeners.push(changes => {
    if (Object.keys(changes).some(key => FILTERS.includes(key))) { applyFilters(); sections.forEach(redraw); }
    sections.filter(section => section.dataset.section in changes).forEach(redraw);
    if ("cell" in changes) followCell(data);
  });
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; sections.forEach(redraw); drawTradeoff(data); } });
  addEventListener("beforeprint", () => sections.forEach(section => { drawn.add(section); drawSection(data, section); }));

  // A card's number opens its cell; the card itself is part of the page.
  const byFolder = document.querySelectorAll("[data-cell]");
  for (const element of byFolder) element.addEventListener("click", () => setState({ cell: element.dataset.cell }));

  // A link within the page keeps the chosen view in the address, and unfolds what it leads to.
  const goTo = identifier => {
    const target = document.getElementById(identifier);
    if (!target) return;
    for (let details = target.closest("details") ?? target.querySelector(":scope > details.domain"); details; details = details.parentElement.closest("details")) details.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", () => {
    const text = decodeURIComponent(location.hash.slice(1));
    if (!text.includes("=")) { goTo(text); if (stateText()) { state.at = text; writeState(); } return; }
    readState();
    for (const listener of listeners) listener(Object.fromEntries([...FILTERS, "cell", ...sections.map(section => section.dataset.section)].map(key => [key, state[key]])));
  });
  const hash = decodeURIComponent(location.hash.slice(1));
  if (hash) goTo(hash.includes("=") ? state.at : hash);
  if (state.cell) followCell(data);
  document.documentElement.dataset.ready = "yes";
};
start();
