// Charts of a section: each backbone's numbers on each domain, and the differences from the supervised twin.
const SHOWN_PANELS = 6;
const LEFT = 132;
const ROW = 26;

// Labels that the margin has no room for lose their middle.
const fitLabel = text => text.length > 18 ? `${text.slice(0, 9)}…${text.slice(-8)}` : text;

const theme = { background: "transparent", color: "currentColor", fontFamily: "inherit", fontSize: "12px", overflow: "visible" };

// Plot labels the groups of its marks, which screen readers ignore or read out of place; the chart as a whole is named.
const drawPlot = options => {
  const figure = Plot.plot(options);
  for (const svg of figure.matches("svg") ? [figure] : figure.querySelectorAll("svg")) svg.setAttribute("role", "group");
  for (const labelled of figure.querySelectorAll("g[aria-label], g[aria-description]")) {
    labelled.removeAttribute("aria-label");
    labelled.removeAttribute("aria-description");
  }
  return figure;
};
const accessiblePlot = { ...Plot, plot: drawPlot };

// A published encoder's number is the same under every protocol, so one panel of each domain shows it.
const panelsFor = (data, number) => {
  const found = data.panels.filter(passes);
  if (!number.isPublished) return found;
  return [...new Map([...found].reverse().map(panel => [panel.domain, panel])).values()].reverse();
};

const pointsOf = (data, panel, index) => panel.rows.filter(row => passes({ backbone: [row.name, ...row.backbones], objective: row.objective })).map(row => {
  const cells = row.cells.filter(at => data.cells[at].values[index]?.[0] !== undefined);
  const own = cells.map(at => ({ at, value: data.cells[at].values[index] })).filter(({ value }) => isNumber(value[0]));
  const score = row.scores[index] ?? (own.length === 1 ? own[0].value : null);
  const missing = own.length ? "" : cells.map(at => data.cells[at].values[index][4]).find(Boolean) ?? "not measured";
  return { row, own, score: score && isNumber(score[0]) ? score : null, missing };
});

// Bounds of an axis: all values, but of intervals only what is within three times the usual half-width.
const extentOf = estimates => {
  const known = estimates.filter(each => each && isNumber(each[0]));
  if (!known.length) return null;
  const halves = known.filter(each => isNumber(each[1])).map(each => (each[2] - each[1]) / 2).sort((a, b) => a - b);
  const room = 3 * (halves[Math.floor(halves.length / 2)] ?? 0);
  const values = known.map(each => each[0]);
  const [least, most] = [Math.min(...values) - room, Math.max(...values) + room];
  const ends = known.flatMap(each => isNumber(each[1]) ? [Math.max(least, each[1]), Math.min(most, each[2])] : [each[0]]);
  let [low, high] = [Math.min(...values, ...ends), Math.max(...values, ...ends)];
  const margin = (high - low) * 0.06 || Math.abs(high) * 0.05 || 0.01;
  return [low - margin, high + margin];
};

const described = (name, estimate, number, signed, more = []) => [
  `${name}: ${shownValue(estimate, number, signed)}${signed ? number.differenceUnit : number.unit}`,
  shownInterval(estimate, number, signed) ? `95% interval ${shownInterval(estimate, number, signed)}` : "no interval",
  ...more,
].filter(Boolean).join("\n");

const clipped = (estimates, [low, high]) => estimates.map(({ estimate, ...rest }) => ({
  ...rest, estimate, low: Math.max(low, estimate[1]), high: Math.min(high, estimate[2]),
  cutLow: estimate[1] < low, cutHigh: estimate[2] > high,
}));

// Make the dots of a chart reachable: they are buttons with the text of their tip, and a click opens the cell.
const makeButtons = (figure, marks, entries) => {
  figure.querySelectorAll(`.${marks} > *`).forEach((dot, index) => {
    const entry = entries[index];
    dot.setAttribute("tabindex", "0");
    dot.setAttribute("role", "button");
    dot.setAttribute("aria-label", entry.text.replaceAll("\n", ", "));
    dot.setAttribute("data-tip", entry.text);
    const open = () => entry.open();
    dot.addEventListener("click", open);
    dot.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); } });
  });
};

const dotsOf = (data, panel, index, width) => {
  const number = data.numbers[index];
  const points = pointsOf(data, panel, index);
  const extent = extentOf(points.flatMap(point => [point.score, ...point.own.map(each => each.value)]));
  if (!extent) return null;
  const scaled = extent.map(end => end * number.scale);
  const y = point => point.row.short;
  const shown = points.filter(point => point.score);
  const intervals = clipped(shown.filter(point => isNumber(point.score[1])).map(point => ({ ...point, estimate: point.score })), extent);
  const runs = points.flatMap(point => point.own.length > 1 ? point.own.map(each => ({ ...each, row: point.row })) : []);
  const control = points.find(point => point.row.isControl && point.score);
  const colour = point => point.row.isControl ? "var(--control)" : (point.score[5] ?? []).includes?.("leads") ? "var(--leader)" : "var(--dot)";
  const figure = drawPlot({
    width, height: points.length * ROW + 40, marginLeft: LEFT, marginRight: 16, marginTop: 6, marginBottom: 34, style: theme,
    ariaLabel: `${number.title} on ${panel.domain}, ${panel.setting}`,
    x: { domain: scaled, label: number.unit.trim() === "%" ? "%" : null, ticks: Math.max(3, Math.floor(width / 110)), grid: true },
    y: { domain: points.map(y), label: null, tickSize: 0, tickFormat: fitLabel },
    marks: [
      control ? Plot.ruleX([control.score[0] * number.scale], { stroke: "var(--control)", strokeWidth: 1.5, strokeDasharray: "3,3" }) : null,
      Plot.link(intervals, { x1: d => d.low * number.scale, x2: d => d.high * number.scale, y1: y, y2: y, stroke: colour, strokeWidth: 3, strokeOpacity: 0.45 }),
      Plot.text(intervals.filter(d => d.cutHigh), { x: d => d.high * number.scale, y, text: () => "›", dx: 4 }),
      Plot.text(intervals.filter(d => d.cutLow), { x: d => d.low * number.scale, y, text: () => "‹", dx: -4 }),
      Plot.dot(runs, { x: d => d.value[0] * number.scale, y, r: 3, stroke: "var(--soft)", fill: "var(--paper)", className: "runs" }),
      Plot.dot(shown, { x: d => d.score[0] * number.scale, y, r: 5.5, fill: colour, stroke: "var(--paper)", className: "means" }),
      Plot.text(points.filter(point => !point.score && !point.own.length), { x: () => scaled[0], y, text: d => d.missing.slice(0, 40), textAnchor: "start", fill: "var(--soft)" }),
    ],
  });
  const place = `${panel.domain}, ${panel.setting}`;
  makeButtons(figure, "runs", runs.map(run => ({
    text: described(`${run.row.short}, ${cellWords(data.cells[run.at])}`, run.value, number, false, [`n = ${run.value[3].toLocaleString("en")}`, place]),
    open: () => openCell(data, run.at, number),
  })));
  makeButtons(figure, "means", shown.map(point => ({
    text: described(point.row.short, point.score, number, false, [
      `n = ${point.score[3].toLocaleString("en")}${point.own.length > 1 ? `, mean of ${point.own.length} runs` : ""}`,
      typeof point.score[6] === "string" ? point.score[6] : point.score[4] && isNumber(point.score[1]) ? "" : typeof point.score[4] === "string" ? point.score[4] : "", place]),
    open: () => openCell(data, point.own[0]?.at ?? point.row.cells[0], number),
  })));
  return figure;
};

const shownTable = (headers, rows, caption) => make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
  make("table", { class: "chart-table sortable" }, make("caption", {}, make("span", {}, caption)),
    make("thead", {}, make("tr", {}, ...headers.map(title => make("th", { scope: "col" }, make("button", { type: "button", class: "sort" }, title))))),
    make("tbody", {}, ...rows.map(row => make("tr", {}, ...row.map((cell, index) => {
      if (index === 0) return make("th", { scope: "row" }, cell);
      if (!Array.isArray(cell)) return make("td", { class: "plain" }, cell ?? "");
      const [value, text] = cell;
      return make("td", { class: "number", "data-sort": isNumber(value) ? value : "" }, isNumber(value) ? make("data", { value }, text) : text);
    }))))));

const tableOfNumbers = (data, panels, index) => {
  const number = data.numbers[index];
  const rows = panels.flatMap(panel => pointsOf(data, panel, index).flatMap(point => {
    const values = point.score && point.own.length !== 1 ? [["mean", point.score], ...point.own.map(each => [cellWords(data.cells[each.at]), each.value])]
      : point.own.map(each => [cellWords(data.cells[each.at]), each.value]);
    return values.map(([run, value]) => [point.row.short, panel.domain, panel.setting, run, [value[0], shownValue(value, number)],
      [value[1], shownInterval(value, number)], [value[3], String(value[3])]]);
  }));
  return shownTable(["Backbone", "Domain", "Setting", "Run", number.title, "95% interval", "n"], rows, `${number.title}, as the chart shows it`);
};

// A chart of one contrast under one setting: a row for each domain, similar ones before different ones.
const forestOf = (number, found, extent, width) => {
  const order = group => ["similar", "different"].indexOf(group) + 3 * (group !== "similar" && group !== "different");
  const groups = [...new Set(found.map(d => d.group))].sort((a, b) => order(a) - order(b));
  const heading = group => `${group} domains:`;
  const rows = groups.flatMap(group => [...(groups.length > 1 ? [heading(group)] : []), ...found.filter(d => d.group === group).map(d => d.domain)]);
  const intervals = clipped(found.filter(d => isNumber(d.low)).map(d => ({ ...d, estimate: [d.value, d.low, d.high] })), extent);
  const colour = d => d.verdict === "undecided" ? "var(--soft)" : d.value > 0 ? "var(--plus)" : "var(--minus)";
  const y = "domain";
  const figure = drawPlot({
    width, height: rows.length * 22 + 44, marginLeft: LEFT, marginRight: 16, marginTop: 4, marginBottom: 34, style: theme,
    ariaLabel: `Difference in ${number.phrase}`,
    x: { domain: extent.map(end => end * number.scale), label: number.differenceUnit.trim() || null, grid: true, ticks: Math.max(3, Math.floor(width / 110)) },
    y: { domain: rows, label: null, tickSize: 0, tickFormat: fitLabel },
    marks: [
      Plot.ruleX([0], { stroke: "currentColor" }),
      Plot.link(intervals, { x1: d => d.low * number.scale, x2: d => d.high * number.scale, y1: y, y2: y, stroke: colour, strokeWidth: 3, strokeOpacity: 0.5 }),
      Plot.text(intervals.filter(d => d.cutHigh), { x: d => d.high * number.scale, y, text: () => "›", dx: 4 }),
      Plot.text(intervals.filter(d => d.cutLow), { x: d => d.low * number.scale, y, text: () => "‹", dx: -4 }),
      Plot.dot(found, { x: d => d.value * number.scale, y, r: 5, fill: d => d.verdict === "undecided" ? "var(--paper)" : colour(d), stroke: colour, strokeWidth: 2, className: "differences" }),
    ],
  });
  makeButtons(figure, "differences", found.map(d => ({
    text: described(`${d.first} minus ${d.second}`, [d.value, d.low, d.high], number, true,
      [sentenceCase(d.verdict), `for ${d.scope}`, `n = ${d.n.toLocaleString("en")} ${d.unit}${d.runs > 1 ? `, ${d.runs} runs` : ""}`, `${d.domain}, ${d.setting}`, d.reason]),
    open: () => setState({ domain: d.domain, ...(number.isPublished ? {} : { protocol: d.protocol, labels: d.labels }) }),
  })));
  return figure;
};

const forestsOf = (data, index, wide) => {
  const number = data.numbers[index];
  const found = data.differences.filter(d => d.number === index && passes({ domain: d.domain, ...(number.isPublished ? {} : { protocol: d.protocol, labels: d.labels }), backbone: d.backbones, objective: d.objectives }));
  if (!found.length) return null;
  const extent = extentOf([...found.map(d => [d.value, d.low, d.high]), [0, null, null]]);
  const kinds = new Map();
  for (const d of found) {
    const title = `${d.first} minus ${d.second}: ${number.isPublished ? "encoder as published" : d.setting}`;
    kinds.set(title, [...(kinds.get(title) ?? []), d]);
  }
  return multiplesOf([...kinds].map(([title, members]) => [title, width => forestOf(number, members, extent, width)]), wide);
};

// Small charts side by side; those beyond the first few are drawn on request.
const multiplesOf = (entries, wide) => {
  const columns = entries.length === 1 ? 1 : Math.max(1, Math.min(3, Math.floor(wide / 340)));
  const width = entries.length === 1 ? Math.min(wide, 820) : Math.floor((wide - (columns - 1) * 16) / columns);
  const grid = make("div", { class: "multiples", style: `--columns: ${columns}` });
  const add = members => {
    for (const [title, draw] of members) {
      const drawing = draw(width);
      if (drawing) grid.append(make("figure", {}, make("figcaption", {}, title), drawing));
    }
  };
  add(entries.slice(0, SHOWN_PANELS));
  if (entries.length <= SHOWN_PANELS) return grid;
  const more = make("button", { type: "button", onclick: () => { more.remove(); add(entries.slice(SHOWN_PANELS)); } }, `Draw ${entries.length - SHOWN_PANELS} more`);
  return make("div", {}, grid, more);
};

// The number of the scorecard comes first.
const sectionNumbers = (data, section) => {
  const scored = new Set(data.panels.flatMap(panel => panel.rows.flatMap(row => Object.keys(row.scores).map(Number))));
  return data.numbers.map((number, index) => ({ ...number, index })).filter(number => number.section === section)
    .sort((a, b) => scored.has(b.index) - scored.has(a.index));
};

const drawSection = (data, element) => {
  const section = element.dataset.section;
  const numbers = sectionNumbers(data, section).filter(number => data.cells.some(cell => isNumber(cell.values[number.index]?.[0])));
  const place = element.querySelector(".charts");
  place.replaceChildren();
  if (!numbers.length) return;
  const chosen = numbers.find(number => number.title === state[section]) ?? numbers[0];
  const select = make("select", { onchange: () => setState({ [section]: select.value === numbers[0].title ? "" : select.value }) },
    ...numbers.map(number => make("option", { value: number.title }, number.title)));
  select.value = chosen.title;
  if (numbers.length > 1) place.append(make("p", { class: "choose" }, make("label", {}, "Number shown ", select),
    make("span", { class: "soft" }, { higher: "Higher is better.", lower: "Lower is better." }[chosen.better] ?? "Neither direction is better.")));
  const panels = panelsFor(data, chosen);
  const wide = Math.max(280, Math.min(place.clientWidth, 1400));
  place.append(panels.length ? multiplesOf(panels.map(panel =>
    [`${panel.domain}: ${chosen.isPublished ? "encoder as published" : panel.setting}`, width => dotsOf(data, panel, chosen.index, width)]), wide)
    : make("p", { class: "soft" }, "Nothing passes the filters."));
  const forests = forestsOf(data, chosen.index, wide);
  if (forests) place.append(make("h3", {}, "Self-supervised minus supervised"),
    make("p", { class: "soft" }, "Filled dots are decided, hollow ones could be luck. Click a dot to see its domain alone."), forests);
  const table = make("details", { ontoggle: () => {
    if (table.open && !table.querySelector("table")) { table.append(tableOfNumbers(data, panels, chosen.index)); addCopyButtons(table); }
  } }, make("summary", {}, `${chosen.title} as a table`));
  place.append(table);
};
