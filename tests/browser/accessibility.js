// What is wrong with the page for people who do not see it, see it badly, or use no mouse: one line each.
() => {
  const wrong = [];
  const say = (element, what) => {
    const text = (element.outerHTML || "").replace(/\s+/g, " ").slice(0, 120);
    wrong.push(`${what}: ${text}`);
  };
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;

  if (!document.documentElement.lang) wrong.push("the page has no language");
  if (!document.title.trim()) wrong.push("the page has no title");
  if (document.querySelectorAll("main").length !== 1) wrong.push("there is not one main");
  if (document.querySelectorAll("h1").length !== 1) wrong.push("there is not one h1");

  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) say(heading, `a heading of level ${own} after ${level}`);
    level = own;
  }

  const ids = new Set();
  for (const element of document.querySelectorAll("[id]")) {
    if (ids.has(element.id)) say(element, "its id is another's, too");
    ids.add(element.id);
  }

  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!shown(field)) continue;
    const label = [...field.labels].map((one) => one.textContent).join(" ") || field.getAttribute("aria-label");
    if (!label || !label.trim()) say(field, "a field without a label");
  }
  for (const control of document.querySelectorAll("a[href], button, summary")) {
    if (!shown(control)) continue;
    const name = control.textContent.trim() || control.getAttribute("aria-label");
    if (!name) say(control, "a control without a name");
  }
  for (const image of document.querySelectorAll("img:not([alt])")) say(image, "an image without a text");
  for (const svg of document.querySelectorAll("svg")) {
    if (!svg.closest("[aria-hidden=true]") && !svg.getAttribute("aria-label") && !svg.querySelector("title")) say(svg, "a drawing without a name");
  }
  for (const cell of document.querySelectorAll("thead th:not([scope])")) say(cell, "a table's head without its scope");
  for (const element of document.querySelectorAll("[tabindex]")) {
    if (element.tabIndex > 0) say(element, "it changes the order of focus");
  }
  for (const box of document.querySelectorAll("main *")) {
    const style = getComputedStyle(box);
    const scrolls = /auto|scroll/.test(style.overflowX + style.overflowY);
    if (scrolls && (box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1) && box.tabIndex < 0 && shown(box)) {
      say(box, "it scrolls and takes no focus");
    }
  }

  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const read = (color) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    return { rgb: [red, green, blue], alpha: alpha / 255 };
  };
  const mix = (top, below) => top.rgb.map((part, n) => part * top.alpha + below[n] * (1 - top.alpha));
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      if (one.tagName.toLowerCase() === "a" && one.ownerSVGElement) {
        const rect = one.querySelector("rect");
        if (rect) layers.push(read(getComputedStyle(rect).fill));
      }
      layers.push(read(getComputedStyle(one).backgroundColor));
    }
    const canvas = read("Canvas").rgb;
    return layers.reverse().reduce((below, layer) => mix(layer, below), canvas);
  };
  const shine = (rgb) => {
    const [red, green, blue] = rgb.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || seen.has(element) || !shown(element) || element.closest(".skip, .hidden, title, option")) continue;
    seen.add(element);
    const style = getComputedStyle(element);
    const ground = behind(element);
    const ink = mix(read(element.ownerSVGElement ? style.fill : style.color), ground);
    const [bright, dark] = [shine(ink), shine(ground)].sort((a, b) => b - a);
    const ratio = (bright + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) say(element, `contrast of ${ratio.toFixed(2)}`);
  }
  return wrong;
}
