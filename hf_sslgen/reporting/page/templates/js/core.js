// What all parts of the page use: making elements, unpacking what is stored compressed, and formatting numbers.
"use strict";

// Returns an element with attributes and children; text is never taken for markup.
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
};

const unpacked = async text => {
  const bytes = Uint8Array.from(atob(text), character => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
};

const unpackedJson = async identifier => {
  const element = document.getElementById(identifier);
  return element ? JSON.parse(await unpacked(element.textContent)) : null;
};

const MINUS = "\u2212";
const isNumber = value => typeof value === "number";

// Numbers have the decimals that their interval leaves certain, as in fitting.py.
const decimalsOf = (low, high, number) => {
  if (!isNumber(low) || !isNumber(high) || high <= low) return number.decimals;
  const half = (high - low) * number.scale / 2;
  let decimals = Math.min(number.decimals, Math.max(0, 1 - Math.floor(Math.log10(half))));
  const bounds = [low, high].filter(Boolean).map(bound => Math.abs(bound * number.scale));
  while (decimals < 5 && bounds.some(bound => Number(bound.toFixed(decimals)) === 0)) decimals += 1;
  return decimals;
};

const formatted = (value, decimals, signed = false) => {
  if (!isNumber(value)) return "–";
  const text = Math.abs(value).toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  if (Number(text.replaceAll(",", "")) === 0) return text;
  return (value < 0 ? MINUS : signed ? "+" : "") + text;
};

const shownValue = ([value, low, high], number, signed = false) =>
  formatted(value * number.scale, decimalsOf(low, high, number), signed || number.signed);

const shownInterval = ([, low, high], number, signed = false) => {
  if (!isNumber(low) || !isNumber(high)) return "";
  const decimals = decimalsOf(low, high, number);
  return [low, high].map(bound => formatted(bound * number.scale, decimals, signed || number.signed)).join(" to ");
};

const sentenceCase = text => text ? text[0].toUpperCase() + text.slice(1) : text;
const announce = text => { document.getElementById("announcer").textContent = text; };
