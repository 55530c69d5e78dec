// Terms are explained where they stand: by pointer or focus, from the glossary at the end of the page.
const tip = document.getElementById("tip");
let explained = null;

const hideTip = () => {
  tip.hidden = true;
  explained?.removeAttribute("aria-describedby");
  explained = null;
};

const showTip = (element, text) => {
  hideTip();
  tip.textContent = text;
  tip.hidden = false;
  explained = element;
  element.setAttribute("aria-describedby", "tip");
  const [place, size] = [element.getBoundingClientRect(), tip.getBoundingClientRect()];
  const left = Math.max(8, Math.min(place.left, document.documentElement.clientWidth - size.width - 8));
  const below = place.bottom + 6 + size.height < innerHeight || place.top < size.height + 12;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${(below ? place.bottom + 6 : place.top - size.height - 6) + scrollY}px`;
};

const explanation = element => {
  if (element.dataset.tip) return element.dataset.tip;
  const entry = document.getElementById(element.dataset.term);
  return entry ? `${entry.textContent}: ${entry.nextElementSibling.textContent}` : "";
};

for (const [begin, end] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
  addEventListener(begin, event => {
    const element = event.target.closest?.("[data-term], [data-tip]");
    const text = element && explanation(element);
    if (text) showTip(element, text);
  });
  addEventListener(end, event => { if (event.target.closest?.("[data-term], [data-tip]")) hideTip(); });
}
addEventListener("keydown", event => { if (event.key === "Escape") hideTip(); });
