// What of the page's text cannot be read where it stands: one line each.
() => {
  const SLACK = 1.5;
  const wrong = new Set();
  const say = (element, what) => {
    const text = (element.outerHTML || "").replace(/\s+/g, " ").slice(0, 160);
    wrong.add(`${what}: ${text}`);
  };
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".hidden, .skip, option, title");
  const scrolls = (style) => /auto|scroll/.test(style.overflowX);
  const clips = (style) => /hidden|clip/.test(style.overflowX);

  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) wrong.add(`the page is ${root.scrollWidth} wide in a window of ${root.clientWidth}`);

  // Of each text, its boxes as they are drawn, without what a scrolling box hides.
  const drawn = [];
  const range = document.createRange();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    if (!node.textContent.trim() || !shown(element)) continue;
    range.selectNodeContents(node);
    for (const { left, right, top, bottom } of range.getClientRects()) {
      if (right - left < 2) continue;
      const box = { node, element, left, right, top, bottom, height: bottom - top, sticky: null };
      let block = null;
      let scrolled = false;
      for (let one = element; one && one !== document.body; one = one.parentElement) {
        const style = getComputedStyle(one);
        if (/sticky|fixed|absolute/.test(style.position)) box.sticky ??= one;
        if (one.ownerSVGElement || style.display === "inline" || style.display === "contents") continue;
        const own = one.getBoundingClientRect();
        if (scrolls(style)) {
          scrolled = true;
          box.left = Math.max(box.left, own.left);
          box.right = Math.min(box.right, own.right);
          box.top = Math.max(box.top, own.top);
          box.bottom = Math.min(box.bottom, own.bottom);
        }
        const ends = style.textOverflow === "ellipsis";
        if (clips(style) && !ends && (left < own.left - SLACK || right > own.right + SLACK)) say(element, "clipped text");
        if (clips(style) && ends) box.right = Math.min(box.right, own.right);
        if (clips(style) && (top + box.height * 0.25 < own.top || bottom - box.height * 0.25 > own.bottom)) say(element, "text clipped above or below");
        if (!block) {
          block = own;
          if (!scrolled && !ends && (left < own.left - SLACK || right > own.right + SLACK)) say(element, `text ${Math.round(Math.max(own.left - left, right - own.right))} pixels out of its box`);
        }
      }
      if (!scrolled && (box.left < -SLACK || box.right > root.clientWidth + SLACK)) say(element, "text beyond the window");
      if (box.right - box.left > 2 && box.bottom - box.top > 2) drawn.push(box);
    }
  }

  // A font's box is higher than its letters: a quarter of it above and below is air.
  drawn.sort((one, other) => one.top - other.top);
  const covers = (one, other) =>
    Math.min(one.right, other.right) - Math.max(one.left, other.left) > 2 &&
    Math.min(one.bottom - one.height / 4, other.bottom - other.height / 4) - Math.max(one.top + one.height / 4, other.top + other.height / 4) > 1;
  for (let n = 0; n < drawn.length; n += 1) {
    for (let m = n + 1; m < drawn.length && drawn[m].top < drawn[n].bottom; m += 1) {
      if (drawn[n].node !== drawn[m].node && drawn[n].sticky === drawn[m].sticky && covers(drawn[n], drawn[m])) {
        say(drawn[n].element, `text over "${drawn[m].node.textContent.trim().slice(0, 40)}"`);
      }
    }
  }

  // In a drawing, a text belongs into the rectangle before it.
  for (const link of document.querySelectorAll("svg a:has(rect)")) {
    const own = link.querySelector("rect").getBoundingClientRect();
    for (const text of link.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (box.width && (box.left < own.left - SLACK || box.right > own.right + SLACK || box.bottom > own.bottom + 4 || box.top < own.top - 4)) say(text, "text out of its rectangle");
    }
  }
  for (const svg of document.querySelectorAll("svg")) {
    const own = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (box.width && (box.left < own.left - SLACK || box.right > own.right + SLACK)) say(text, "text beyond its drawing");
    }
  }

  // The name of a button is broken between its words alone.
  for (const button of document.querySelectorAll("button, .button")) {
    range.selectNodeContents(button);
    const lines = new Set([...range.getClientRects()].map((line) => Math.round(line.top)));
    if (shown(button) && lines.size > button.textContent.trim().split(/\s+/).length) say(button, "a button's word is broken");
  }

  // On a desk, a table needs no scrolling to the side.
  for (const box of document.querySelectorAll(".scroll:has(table)")) {
    if (innerWidth >= 1280 && shown(box) && box.scrollWidth > box.clientWidth + 1) say(box, `a table ${box.scrollWidth - box.clientWidth} pixels wider than its box`);
  }

  // Fields show what they hold, and buttons what they do.
  for (const field of document.querySelectorAll("button, .button, select, .badge, .state")) {
    if (shown(field) && field.clientWidth && field.scrollWidth > field.clientWidth + 1) say(field, "wider than its box");
  }
  return [...wrong];
}
