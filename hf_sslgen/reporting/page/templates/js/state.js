// What the reader has chosen: filters, the number of each section, and the open cell. It is kept in the address after #,
// so that a link opens the same view. An address without = is a place in the page.
const FILTERS = ["domain", "protocol", "labels", "backbone", "objective"];
const state = { at: "" };
const listeners = [];

const readState = () => {
  const text = location.hash.slice(1);
  if (!text.includes("=")) return;
  for (const key of Object.keys(state)) delete state[key];
  for (const [key, value] of new URLSearchParams(text)) state[key] = value;
};

const stateText = () => new URLSearchParams(Object.entries(state).filter(([, value]) => value)).toString();

const writeState = () => {
  const text = stateText();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
};

const setState = changes => {
  Object.assign(state, changes);
  writeState();
  for (const listener of listeners) listener(changes);
};

// Whether something with these properties passes the filters; a property that it lacks does not matter.
const passes = properties => FILTERS.every(name => {
  const value = properties[name];
  return !state[name] || value === undefined || value === null || value === "" ||
    (Array.isArray(value) ? value.includes(state[name]) : value === state[name]);
});

// The rows of the scorecard that a backbone belongs to: its own, or that of an objective with several pretraining runs.
const rowsOfBackbone = new Map();
const withRows = names => names.flatMap(name => [name, ...(rowsOfBackbone.get(name) ?? [])]);

// Hide whatever in the page does not pass: cards, rows and domains state their properties as data-filter-*.
const applyFilters = () => {
  for (const element of document.querySelectorAll("[data-filterable]")) {
    const properties = {};
    for (const name of FILTERS) properties[name] = element.getAttribute(`data-filter-${name}`);
    if (properties.backbone !== null) properties.backbone = withRows(properties.backbone.split("\n"));
    element.hidden = !passes(properties);
  }
  for (const scene of document.querySelectorAll(".scene")) scene.hidden = !passes({ ...scene.dataset });
  for (const strip of document.querySelectorAll(".strip")) strip.hidden = !passes({ backbone: withRows(JSON.parse(strip.dataset.backbones)) });
  for (const cell of document.querySelectorAll("th[data-backbone], td[data-backbone]")) cell.hidden = !passes({ backbone: withRows([cell.dataset.backbone]) });
  for (const group of document.querySelectorAll("[data-filter-group]")) {
    const members = [...group.querySelectorAll("[data-filterable]:not([data-filterable] *)")];
    const note = group.querySelector(".nothing");
    if (note) note.hidden = !members.length || members.some(member => !member.hidden);
  }
};

const buildFilters = data => {
  const bar = document.getElementById("filters");
  for (const panel of data.panels) for (const row of panel.rows) for (const name of row.backbones) {
    rowsOfBackbone.set(name, [...new Set([...(rowsOfBackbone.get(name) ?? []), row.name])]);
  }
  const options = {
    domain: data.panels.map(panel => [panel.domain, panel.domain]),
    protocol: data.panels.map(panel => [panel.protocol, sentenceCase(panel.protocolWords)]),
    labels: data.panels.map(panel => [panel.labels, panel.labels]),
    backbone: data.panels.flatMap(panel => panel.rows.map(row => [row.name, row.short])),
    objective: data.panels.flatMap(panel => panel.rows.map(row => [row.objective, row.objective])),
  };
  const titles = { domain: "Domain", protocol: "Protocol", labels: "Labels", backbone: "Backbone", objective: "Objective" };
  const fields = bar.querySelector(".fields");
  for (const name of FILTERS) {
    const found = new Map(options[name]);
    if (found.size < 2) continue;
    const select = make("select", { name, onchange: () => setState({ [name]: select.value }) },
      make("option", { value: "" }, "All"), ...[...found].map(([value, text]) => make("option", { value }, text)));
    fields.append(make("label", {}, titles[name], select));
  }
  if (!fields.children.length) return;
  const clear = make("button", { type: "button", onclick: () => setState(Object.fromEntries(FILTERS.map(name => [name, ""]))) }, "Show all");
  const link = make("button", { type: "button", onclick: () => copyText(location.href, "Link copied.") }, "Copy link to this view");
  fields.append(clear, link);
  bar.hidden = false;
  const show = () => {
    for (const select of fields.querySelectorAll("select")) select.value = state[select.name] ?? "";
    const chosen = FILTERS.filter(name => state[name]).map(name => new Map(options[name]).get(state[name]) ?? state[name]);
    bar.querySelector(".chosen").textContent = chosen.length ? chosen.join(" · ") : "everything";
  };
  listeners.push(show);
  show();
};
