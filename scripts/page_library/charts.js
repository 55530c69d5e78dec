// The parts of Observable Plot that the report's page draws with; what is not named here is left out of the file.
//
// Why Plot: it draws SVG with labels for screen readers and tips for the pointer; its marks, scales and facets suit dots
// with intervals, heat maps and small multiples; it is maintained by the authors of D3, under the ISC licence; it
// neither evaluates text nor requests anything; and the parts named here take 280 kB, a third of that compressed.
export {
  areaY,
  axisFx,
  axisFy,
  axisX,
  axisY,
  barX,
  barY,
  cell,
  dot,
  dotX,
  frame,
  gridX,
  gridY,
  image,
  legend,
  line,
  lineX,
  lineY,
  link,
  plot,
  pointer,
  pointerX,
  rect,
  ruleX,
  ruleY,
  text,
  textX,
  tickX,
  tip,
} from "@observablehq/plot";
