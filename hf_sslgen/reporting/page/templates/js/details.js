// The details of one cell, drawn from the values of `cell_details.py`: its surest errors, what it confuses, accuracy by
// class, reliability, risk-coverage and invariance by transform. Every chart has a table with the same values behind it.
//
//   renderCellDetails(container, details, Plot, pictures)
//
// `pictures` are the `data:` addresses that the details refer to by number; without them, the words remain.
const renderCellDetails = (() => {
  const WIDEST = 560;
  const BELOW = 38;
  const STYLE = { background: "transparent", color: "currentColor", fontFamily: "inherit", fontSize: "12px", overflow: "visible" };
  const BLUE = "var(--leader, #0060a0)", SOFT = "var(--soft, #5a6068)", PAPER = "var(--paper, #fff)";

  // Text is never taken for markup.
  const element = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) made.setAttribute(name, value);
    made.append(...children.filter(child => child !== null && child !== undefined));
    return made;
  };
  const has = value => typeof value === "number";
  const fixed = (value, digits) => has(value) ? value.toFixed(digits).replace("-", "\u2212") : "–";
  const percent = (share, digits = 1) => has(share) ? `${fixed(100 * share, digits)}%` : "–";
  const whole = count => count.toLocaleString("en");
  const range = (interval, format) => interval && has(interval[0]) ? `${format(interval[0])} to ${format(interval[1])}` : "–";
  const plural = (count, word) => `${whole(count)} ${word}${count === 1 ? "" : "s"}`;
  // A name that a margin has no room for loses its middle, because names often differ at their ends.
  const shortened = (text, most) => text.length > most ? `${text.slice(0, most - 8)}…${text.slice(-7)}` : text;

  const table = (caption, headers, rows) => element("details", { class: "behind" },
    element("summary", null, "As a table"),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      element("table", { class: "chart-table" }, element("caption", null, caption),
        element("thead", null, element("tr", null, ...headers.map(title => element("th", { scope: "col" }, title)))),
        element("tbody", null, ...rows.map(row => element("tr", null, ...row.map((cell, index) =>
          element(index ? "td" : "th", index ? { class: "number" } : { scope: "row" }, cell))))))));

  const part = (title, ...children) => element("section", { class: "detail" }, element("h3", null, title), ...children);
  const note = text => element("p", { class: "soft" }, text);
  const wide = (container, most = WIDEST) => Math.max(240, Math.min(most, (container.clientWidth || most) - 4));
  const drawn = (plot, words) => {
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", words);
    return element("div", { class: "drawing" }, plot);
  };

  // A confidence below certainty never reads 100%.
  const sure = ({ confidence }) => `${confidence < 1 && confidence >= 0.995 ? fixed(Math.min(100 * confidence, 99.9), 1) : fixed(100 * confidence, 0)}% sure`;

  const tile = (example, words, lines, pictures) => element("figure", { class: "tile" },
    element("span", { class: "images" }, pictures[example.picture]
      ? element("img", { src: pictures[example.picture], alt: words })
      : element("span", { class: "no-picture" }, "no picture")),
    element("figcaption", null, ...lines.map(line => element("span", null, line))));
  const tiles = entries => element("ul", { class: "tiles" }, ...entries.map(entry => element("li", null, entry)));

  const errors = (details, pictures) => {
    if (!details.errors?.some(error => pictures[error.picture])) return null;
    return part("Most confident errors", tiles(details.errors.map(error =>
      tile(error, `${error.reference}, taken for ${error.prediction}`,
        [`true: ${error.reference}`, `predicted: ${error.prediction}`, sure(error)], pictures))));
  };

  // Shades show a class's share of its images; the number is written in every cell, so that colour is never needed.
  const matrix = ({ classes, matrix: counts }) => {
    const caption = "Rows are true classes, columns are predictions.";
    const shade = (count, total, isRight) => {
      const share = total ? Math.round(50 * Math.sqrt(count / total)) : 0;
      return `background: color-mix(in srgb, var(${isRight ? "--leader, #0060a0" : "--warn-line, #b26a00"}) ${share}%, transparent)`;
    };
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Confusion matrix. ${caption}` },
      element("table", { class: classes.length > 6 ? "confusion many" : "confusion" },
        element("caption", null, caption),
        element("thead", null, element("tr", null, element("td", null, ""), ...classes.map(name =>
          element("th", { scope: "col", title: name }, element("span", null, shortened(name, 24)))))),
        element("tbody", null, ...counts.map((row, at) => {
          const total = row.reduce((sum, count) => sum + count, 0);
          return element("tr", null, element("th", { scope: "row", title: classes[at] }, shortened(classes[at], 24)),
            ...row.map((count, column) => element("td", {
              style: shade(count, total, at === column),
              title: `${classes[at]} taken for ${classes[column]}: ${count} of ${total}`,
            }, count ? whole(count) : element("span", { class: "soft" }, "0"))));
        }))));
  };

  const confusion = (details, pictures) => {
    const found = details.confusion;
    if (!found) return null;
    const name = at => found.classes[at];
    const titled = pair => `${name(pair.reference)} taken for ${name(pair.prediction)}`;
    const seen = found.pairs.filter(pair => pair.examples.some(example => pictures[example.picture])).slice(0, 6);
    const listed = element("ul", { class: "pairs" }, ...seen.map(pair => element("li", null,
      element("strong", null, `${titled(pair)}: ${whole(pair.n)}`),
      tiles(pair.examples.filter(example => pictures[example.picture]).map(example =>
        tile(example, titled(pair), [sure(example)], pictures))))));
    const rest = found.n_pairs - found.pairs.length;
    return part("Which classes are confused",
      note(found.n_errors ? `${plural(found.n_errors, "error")} of ${plural(details.n, "image")}, in ${plural(found.n_pairs, "pair")} of classes.`
        : "No image is misclassified."),
      found.matrix ? matrix(found) : null,
      seen.length ? listed : null,
      found.pairs.length ? table(`The most confused pairs${rest > 0 ? `; ${whole(rest)} more are not listed` : ""}`,
        ["Pair", "Images"], found.pairs.map(pair => [titled(pair), whole(pair.n)])) : null);
  };

  const perClass = (details, Plot, container) => {
    const rows = (details.per_class ?? []).map(row => ({ ...row, accuracy: row.right / row.n }));
    if (!rows.length) return null;
    const order = [...rows].sort((a, b) => a.accuracy - b.accuracy).map(row => row.name);
    const title = row => `${row.name}: ${percent(row.accuracy)} (${row.right} of ${row.n})`
      + (row.interval ? `\n95% interval ${range(row.interval, percent)}` : "");
    const plot = Plot.plot({
      width: wide(container), height: 52 + 22 * rows.length, marginLeft: 128, marginRight: 18, marginTop: 10, marginBottom: BELOW, style: STYLE,
      x: { domain: [0, 100], label: "Accuracy (%)", grid: true }, y: { domain: order, label: null, tickSize: 0, tickFormat: text => shortened(text, 18) },
      marks: [
        Plot.link(rows.filter(row => row.interval), { x1: row => 100 * row.interval[0], x2: row => 100 * row.interval[1], y1: "name", y2: "name", stroke: BLUE, strokeWidth: 3, strokeOpacity: 0.4 }),
        Plot.dot(rows, { x: row => 100 * row.accuracy, y: "name", r: 4.5, fill: BLUE, stroke: PAPER, title }),
      ],
    });
    const more = details.n_classes - rows.length;
    return part("Accuracy by class",
      note(more > 0 ? `The ${rows.length} least accurate of ${whole(details.n_classes)} classes.` : "Least accurate first. Lines are 95% intervals over these images."),
      drawn(plot, `Accuracy of ${plural(rows.length, "class").replace("classs", "classes")}; the table has the values`),
      table("Accuracy by class", ["Class", "Accuracy", "95% interval", "Right", "Images"],
        rows.map(row => [row.name, percent(row.accuracy), range(row.interval, percent), whole(row.right), whole(row.n)])));
  };

  const reliabilityPlot = (bins, Plot, width, words) => {
    const title = bin => `confidence ${percent(bin.confidence)}, accuracy ${percent(bin.accuracy)}\n${plural(bin.n, "image")}`
      + (bin.interval ? `\n95% interval ${range(bin.interval, percent)}` : "");
    const x = bin => 100 * bin.confidence;
    const total = bins.reduce((sum, bin) => sum + bin.n, 0);
    const axis = { domain: [0, 100], grid: true };
    const top = Plot.plot({
      width, height: Math.min(300, width * 0.8), marginLeft: 44, marginRight: 12, style: STYLE,
      x: { ...axis, label: null }, y: { ...axis, label: "Accuracy (%)" },
      marks: [
        Plot.line([[0, 0], [100, 100]], { stroke: SOFT, strokeDasharray: "4,3" }),
        Plot.link(bins.filter(bin => bin.interval), { x1: x, x2: x, y1: bin => 100 * bin.interval[0], y2: bin => 100 * bin.interval[1], stroke: BLUE, strokeWidth: 3, strokeOpacity: 0.35 }),
        Plot.line(bins, { x, y: bin => 100 * bin.accuracy, stroke: BLUE }),
        Plot.dot(bins, { x, y: bin => 100 * bin.accuracy, r: 4.5, fill: BLUE, stroke: PAPER, title }),
      ],
    });
    const bottom = Plot.plot({
      width, height: 108, marginLeft: 44, marginRight: 12, marginTop: 20, marginBottom: BELOW, style: STYLE,
      x: { domain: [0, 100], label: "Confidence (%)" }, y: { label: "Images (%)", ticks: 2, grid: true },
      marks: [Plot.rect(bins, { x1: bin => 100 * bin.low, x2: bin => 100 * bin.high, y1: 0, y2: bin => 100 * bin.n / total, fill: SOFT, inset: 0.5, title })],
    });
    bottom.setAttribute("aria-hidden", "true");
    const both = drawn(top, words);
    both.append(bottom);
    return both;
  };

  const reliability = (details, Plot, container) => {
    const found = details.reliability;
    if (!found) return null;
    const kinds = [["As measured", found], ...(found.scaled ? [[`After temperature scaling (${fixed(found.scaled.temperature, 2)})`, found.scaled]] : [])];
    const gap = kind => has(kind.ece) ? `Calibration error ${fixed(100 * kind.ece, 1)} pt`
      + (has(kind.ece_if_calibrated) ? `; ${fixed(100 * kind.ece_if_calibrated, 1)} pt if calibrated` : "") : "";
    const width = wide(container, 340);
    return part("Is its confidence justified?", note("Above the dashed line it is underconfident, below it overconfident."),
      element("div", { class: "side-by-side" }, ...kinds.map(([title, kind]) => element("figure", null,
        element("figcaption", null, element("strong", null, title), element("span", null, gap(kind))),
        reliabilityPlot(kind.bins, Plot, width, `${title}: accuracy against confidence in ${plural(kind.bins.length, "bin")}; the table has the values`),
        table(title, ["Confidence", "Mean confidence", "Accuracy", "95% interval", "Images"], kind.bins.map(bin =>
          [`${percent(bin.low)} to ${percent(bin.high)}`, percent(bin.confidence), percent(bin.accuracy), range(bin.interval, percent), whole(bin.n)]))))));
  };

  const riskCoverage = (details, Plot, container) => {
    const found = details.risk_coverage;
    if (!found) return null;
    const last = found.points.at(-1);
    const title = point => `the most confident ${percent(point.coverage)} of images: ${percent(point.risk)} errors`;
    const y = point => 100 * point.risk;
    const plot = Plot.plot({
      width: wide(container), height: 240, marginLeft: 44, marginRight: 14, marginBottom: BELOW, style: STYLE,
      x: { domain: [0, 100], label: "Coverage: share of most confident images (%)", grid: true },
      y: { domain: [0, Math.max(1, ...found.points.map(y)) * 1.05], label: "Errors among them (%)", grid: true },
      marks: [
        Plot.ruleY([y(last)], { stroke: SOFT, strokeDasharray: "4,3" }),
        Plot.line(found.points, { x: point => 100 * point.coverage, y, stroke: BLUE, strokeWidth: 2 }),
        Plot.dot(found.points, { x: point => 100 * point.coverage, y, r: 3, fill: BLUE, stroke: PAPER, title }),
      ],
    });
    const areas = has(found.aurc) ? ` Area under the curve: ${percent(found.aurc, 2)}`
      + (has(found.excess_aurc) ? `, ${fixed(100 * found.excess_aurc, 2)} points above the best order.` : ".") : "";
    return part("Errors left when unsure images are rejected", note(`Dashed: a random order.${areas}`),
      drawn(plot, `Errors fall from ${percent(last.risk)} of all images as unsure ones are rejected; the table has the values`),
      table("Risk by coverage", ["Coverage", "Errors"], found.points.map(point => [percent(point.coverage), percent(point.risk)])));
  };

  const invariance = (details, Plot, container) => {
    const stages = Map.groupBy ? Map.groupBy(details.invariance ?? [], row => row.stage)
      : (details.invariance ?? []).reduce((found, row) => found.set(row.stage, [...(found.get(row.stage) ?? []), row]), new Map());
    const charts = [...stages].map(([stage, rows]) => {
      const shown = rows.filter(row => has(row.value));
      const title = row => `${row.words}: ${fixed(row.value, 3)}${row.interval ? `\n95% interval ${range(row.interval, value => fixed(value, 3))}` : ""}\nn = ${whole(row.n)}`;
      const low = Math.min(0, ...shown.flatMap(row => row.interval ? [row.interval[0]] : [row.value]));
      const high = Math.max(1, ...shown.flatMap(row => row.interval ? [row.interval[1]] : [row.value]));
      const colour = row => row.family ? BLUE : SOFT;
      const plot = Plot.plot({
        width: wide(container), height: 52 + 20 * rows.length, marginLeft: 150, marginRight: 14, marginTop: 10, marginBottom: BELOW, style: STYLE,
        x: { domain: [low, high], label: "Invariance (0: chance, 1: unchanged)", grid: true },
        y: { domain: rows.map(row => row.words), label: null, tickSize: 0, tickFormat: text => shortened(text.replace("mean over ", ""), 24) },
        marks: [
          Plot.ruleX([0], { stroke: "currentColor" }),
          Plot.link(shown.filter(row => row.interval), { x1: row => row.interval[0], x2: row => row.interval[1], y1: "words", y2: "words", stroke: colour, strokeWidth: 3, strokeOpacity: 0.45 }),
          Plot.dot(shown, { x: "value", y: "words", r: 4.5, fill: colour, stroke: PAPER, symbol: row => row.family ? "diamond" : "circle", title }),
          Plot.text(rows.filter(row => !has(row.value)), { x: () => low, y: "words", text: () => "undefined", textAnchor: "start", dx: 4 }),
        ],
      });
      return element("figure", null, element("figcaption", null, element("strong", null, stage === "pretrained" ? "Encoder as published" : "After fine-tuning")),
        drawn(plot, `Invariance to ${plural(rows.length, "transform")}; the table has the values`),
        table("Invariance by transform and severity", ["Transform", "Invariance", "95% interval", "n"], rows.map(row =>
          [row.words, fixed(row.value, 3), range(row.interval, value => fixed(value, 3)), whole(row.n)])));
    });
    return charts.length ? part("Invariance by transform and severity", note("Diamonds are means over transforms."), ...charts) : null;
  };

  return (container, details, Plot, pictures = []) => {
    const parts = [
      errors(details, pictures), confusion(details, pictures), perClass(details, Plot, container), reliability(details, Plot, container),
      riskCoverage(details, Plot, container), invariance(details, Plot, container),
    ].filter(Boolean);
    container.replaceChildren(...(parts.length ? parts : [note("There are no records of individual images to show.")]));
  };
})();
