"use strict";
// Without this script the values are tooltips; with it they are also below the figure, for fingers and for the
// keyboard: in a focused figure "n" and "p" go through them.
for (const figure of document.querySelectorAll("figure.drawing")) {
  const value = figure.querySelector("output");
  const paper = figure.querySelector(".paper");
  const spots = [...figure.querySelectorAll(".values rect")];
  let at = -1;
  const tell = (spot) => {
    figure.querySelector("rect.told")?.classList.remove("told");
    spot.classList.add("told");
    value.textContent = spot.querySelector("title").textContent;
  };
  for (const kind of ["pointerover", "click"]) {
    paper.addEventListener(kind, (event) => {
      const spot = event.target.closest?.(".values rect");
      if (spot) tell(spot);
    });
  }
  paper.addEventListener("keydown", (event) => {
    const step = { n: 1, p: -1 }[event.key];
    if (!step || !spots.length || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    at = (at + step + spots.length) % spots.length;
    tell(spots[at]);
  });
}
// What is folded away is printed too.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details.block")) folded.open = true;
});
