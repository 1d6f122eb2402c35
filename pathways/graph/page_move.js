// Moving in the picture: one node that Tab reaches and arrows from node to node; larger, smaller, dragged, scrolled.

const WAYS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
const SIZES = { "+": "larger", "=": "larger", "-": "smaller", 0: "width" };
const plain = (event) => !event.ctrlKey && !event.metaKey && !event.altKey;

// `stands` are the nodes' boxes in units of the picture, `there` says whether one is shown, `press` keeps one.
function roving({ svg, boxes, stands, there, press }) {
  let stop = null;

  function reach(box) {
    stop?.setAttribute("tabindex", "-1");
    stop = box;
    stop?.setAttribute("tabindex", "0");
  }

  // The nearest node that way; what lies aside of the way counts double, so that rows and columns are kept.
  function neighbour(from, [dx, dy]) {
    const middle = ({ x, y, width, height }) => [x + width / 2, y + height / 2];
    const [x, y] = middle(stands[from]);
    let best = from;
    let least = Infinity;
    stands.forEach((place, i) => {
      const [u, v] = middle(place);
      const along = dx * (u - x) + dy * (v - y);
      const cost = along + 2 * Math.abs(dx ? v - y : u - x);
      if (i !== from && there(i) && along > 1 && cost < least) [best, least] = [i, cost];
    });
    return best;
  }

  svg.addEventListener("keydown", (event) => {
    const from = boxes.indexOf(event.target.closest(".pg-node"));
    if (from < 0 || !plain(event)) return;
    if (event.key in WAYS) boxes[neighbour(from, WAYS[event.key])].focus();
    else if (event.key === "Home") boxes.find((_, i) => there(i)).focus();
    else if (event.key === "End") boxes.findLast((_, i) => there(i)).focus();
    else if (event.key === "Enter" || event.key === " ") press(from, event.shiftKey);
    else return;
    event.preventDefault();
  });
  svg.parentElement.addEventListener("focusin", (event) => reach(event.target.closest(".pg-node") ?? stop));
  reach(boxes[0] ?? null);

  // After a step the node that Tab reaches may be hidden: then it is the first that is not.
  return () => {
    if (stop && !there(boxes.indexOf(stop))) reach(boxes.find((_, i) => there(i)) ?? stop);
  };
}

// Sizes are widths of the picture: the view scrolls by itself, by wheel, touch, arrows and drag.
function sizing({ root, svg, view, stage, bar, panel, changed }) {
  const natural = svg.viewBox.baseVal;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const now = () => svg.getBoundingClientRect().width / natural.width;

  // The point of the picture at (x, y) of the window, or in the middle of what is seen of it, stays where it is.
  function resize(scale, x, y) {
    const before = svg.getBoundingClientRect();
    const frame = view.getBoundingClientRect();
    const atX = x ?? frame.left + frame.width / 2;
    const atY = y ?? (Math.max(frame.top, 0) + Math.min(frame.bottom, innerHeight)) / 2;
    const [u, v] = [(atX - before.left) / before.width, (atY - before.top) / before.height];
    const width = scale === null ? "" : `${Math.round(natural.width * Math.max(0.15, Math.min(4, scale)))}px`;
    svg.style.width = svg.style.minWidth = svg.style.maxWidth = width;
    const after = svg.getBoundingClientRect();
    view.classList.toggle("is-large", scale !== null && after.width > view.clientWidth + 1);
    const placed = svg.getBoundingClientRect();
    view.scrollLeft += placed.left + u * placed.width - atX;
    view.scrollTop += placed.top + v * placed.height - atY;
    changed();
  }

  const sizes = {
    larger: () => resize(now() * 1.25),
    smaller: () => resize(now() / 1.25),
    width: () => resize(null),
    whole() {
      const room = innerHeight - bar.offsetHeight - panel.offsetHeight - 40;
      resize(Math.min(view.clientWidth / natural.width, room / natural.height, 1.25));
      stage.style.scrollMarginTop = `${bar.offsetHeight + 4}px`;
      stage.scrollIntoView({ block: "start", behavior: calm.matches ? "auto" : "smooth" });
    },
  };
  for (const [name, act] of Object.entries(sizes)) {
    root.querySelector(`[data-do=${name}]`).addEventListener("click", act);
  }
  stage.addEventListener("keydown", (event) => {
    if (!plain(event) || !(event.key in SIZES)) return;
    event.preventDefault();
    sizes[SIZES[event.key]]();
  });
  view.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return; // without it the page scrolls, as everywhere
      event.preventDefault();
      resize(now() * Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
    },
    { passive: false },
  );

  let held = null;
  let moved = false;
  view.addEventListener("pointerdown", (event) => {
    moved = false;
    if (event.pointerType !== "mouse" || event.button !== 0 || !view.classList.contains("is-large")) return;
    held = { x: event.clientX, y: event.clientY, left: view.scrollLeft, top: view.scrollTop };
  });
  addEventListener("pointermove", (event) => {
    if (!held) return;
    moved ||= Math.hypot(event.clientX - held.x, event.clientY - held.y) > 4;
    view.classList.toggle("is-dragged", moved);
    view.scrollLeft = held.left - (event.clientX - held.x);
    view.scrollTop = held.top - (event.clientY - held.y);
  });
  addEventListener("pointerup", () => {
    held = null;
    view.classList.remove("is-dragged");
  });
  return { now, dragged: () => moved };
}
