// Accuracy against throughput: the more accurate above, the faster to the right; a line joins those that no other beats in both.
const drawTradeoff = data => {
  const place = document.getElementById("tradeoff");
  if (!place || !data.tradeoff) return;
  const { title, points } = data.tradeoff;
  const rates = points.map(point => point.throughput);
  const isWide = Math.max(...rates) > 8 * Math.min(...rates);
  const front = points.filter(point => point.isOnFront).sort((a, b) => a.throughput - b.throughput);
  const bounded = points.filter(point => isNumber(point.low));
  const colour = point => point.isOnFront ? "var(--leader)" : "var(--dot)";
  const figure = drawPlot({
    width: Math.max(280, Math.min(place.clientWidth, 720)), height: 320, marginLeft: 52, marginRight: 24, marginTop: 26, marginBottom: 40, style: theme,
    ariaLabel: `Accuracy against images per second, ${title}`,
    x: { type: isWide ? "log" : "linear", label: "images per second", grid: true, inset: 40, ticks: 5, tickFormat: value => value.toLocaleString("en") },
    y: { label: "accuracy (%)", grid: true, inset: 12 },
    marks: [
      Plot.line(front, { x: "throughput", y: "accuracy", stroke: "var(--leader)", strokeDasharray: "3,3" }),
      Plot.link(bounded, { x1: "throughput", x2: "throughput", y1: "low", y2: "high", stroke: colour, strokeWidth: 3, strokeOpacity: 0.45 }),
      Plot.dot(points, { x: "throughput", y: "accuracy", r: 5.5, fill: colour, stroke: "var(--paper)", className: "tradeoffs" }),
      ...[-12, 14].map((dy, side) => Plot.text(points.filter((_, index) => index % 2 === side), { x: "throughput", y: "accuracy", text: point => fitLabel(point.name), dy, fill: "currentColor", stroke: "var(--paper)", strokeWidth: 3 })),
    ],
  });
  figure.querySelectorAll(".tradeoffs > *").forEach((dot, index) => {
    const { name, accuracy, throughput, isOnFront } = points[index];
    dot.setAttribute("tabindex", "0");
    dot.setAttribute("role", "img");
    const text = `${name}: ${accuracy.toFixed(1)}%\n${throughput.toLocaleString("en", { maximumSignificantDigits: 3 })} images per second${isOnFront ? "\nno other is both more accurate and faster" : ""}`;
    dot.setAttribute("aria-label", text.replaceAll("\n", ", "));
    dot.setAttribute("data-tip", text);
  });
  place.replaceChildren(make("figure", {}, make("figcaption", {}, `Accuracy against speed: ${title}`), figure));
};
