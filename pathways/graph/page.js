// The path graph's page comes to life. Without scripts it shows its picture and tables; all words come from its data.
const HINT = "Point at a module or a task to follow its path; click or press Enter to keep it.";
// Of tasks that are picked together: hues repeat, and not everybody can tell them apart.
const DASHES = ["none", "15 5", "3 4", "15 4 3 4"];

function start(root) {
  root.dataset.ready = "";
  const one = (selector) => root.querySelector(selector);
  const all = (selector) => [...root.querySelectorAll(selector)];
  const data = JSON.parse(one(":scope > script[type='application/json']").textContent);
  const { tasks, nodes } = data;
  const [svg, view, stage] = [one(".pg-svg"), one(".pg-view"), one(".pg-stage")];
  const [card, panel, bar, says] = [one(".pg-card"), one(".pg-picked"), one(".pg-bar"), one(".pg-says")];
  const [lines, boxes] = [all(".pg-task"), all(".pg-node")];
  const [time, uses] = all(".pg-bar input[type=range]");
  const action = (name) => one(`[data-do=${name}]`);
  const [first, last] = [Number(time.min), tasks.length];
  const words = wording(data);

  // What is shown follows from this alone. `step` is null where all is shown and nothing is new; `seen` is what the
  // pointer or the focus is on and `kept` what was clicked, as {node} or {task}.
  const state = { step: null, least: 1, picked: new Set(), kept: null, seen: null };

  // A head of one task stands for that task; its own facts are in the table.
  const taskOf = (node) => (nodes[node].kind === "head" && nodes[node].tasks.length < 2 ? nodes[node].tasks[0] : null);
  const targetOf = (node) => (taskOf(node) === null ? { node } : { task: taskOf(node) });
  const same = (a, b) => a?.node === b?.node && a?.task === b?.task;
  const tasksOf = (target) => (target.task === undefined ? nodes[target.node].tasks : [target.task]);
  const picked = () => [...state.picked];
  const dashOf = (task) => DASHES[state.picked.has(task) ? picked().indexOf(task) % DASHES.length : 0];
  const say = (text) => (says.textContent = text);

  // Where each box stands, in units of the picture; nothing is measured while the pointer moves but the picture itself.
  const stands = boxes.map((box) => {
    const number = (name) => Number(box.querySelector("rect").getAttribute(name));
    return { x: number("x"), y: number("y"), width: number("width"), height: number("height") };
  });

  // -- What is lit, hidden and new -----------------------------------------------------------------------------

  const isLater = (node) => state.step !== null && nodes[node].since > state.step;
  const isNew = (node) => state.step > 0 && nodes[node].weighs && nodes[node].since === state.step;
  const isRare = ({ kind, tasks: by }) => !["input", "glue", "head"].includes(kind) && by.length < state.least;

  function lit() {
    const target = state.seen ?? state.kept;
    if (target) return new Set(tasksOf(target));
    return state.picked.size ? state.picked : null;
  }

  let waiting = 0;
  function update() {
    waiting ||= requestAnimationFrame(paint);
  }

  function paint() {
    waiting = 0;
    const on = lit();
    const common = new Set(words.common(picked()));
    svg.classList.toggle("pg-lit", on !== null);
    lines.forEach((line, task) => {
      const dash = dashOf(task);
      line.classList.toggle("is-on", on !== null && on.has(task));
      line.classList.toggle("is-later", state.step !== null && task >= state.step);
      line.classList.toggle("is-new", state.step !== null && task === state.step - 1);
      line.classList.toggle("is-dashed", dash !== "none");
      if (line.style.getPropertyValue("--dash") !== dash) line.style.setProperty("--dash", dash);
    });
    boxes.forEach((box, i) => {
      const kept = state.kept?.node === i;
      box.classList.toggle("is-on", on !== null && nodes[i].tasks.some((task) => on.has(task)));
      box.classList.toggle("is-later", isLater(i));
      box.classList.toggle("is-new", isNew(i));
      box.classList.toggle("is-rare", isRare(nodes[i]));
      box.classList.toggle("is-common", common.has(i));
      box.classList.toggle("is-kept", kept);
      const pressed = String(taskOf(i) === null ? kept : state.picked.has(taskOf(i)));
      if (box.getAttribute("aria-pressed") !== pressed) box.setAttribute("aria-pressed", pressed);
    });
    markNew();
    const at = state.step ?? last;
    time.value = at;
    const after = at === 0 ? "before the first task" : `after ${at} of ${last}: ${tasks[at - 1]?.short}`;
    time.setAttribute("aria-valuetext", state.step === null ? "all tasks" : after);
    action("back").disabled = at <= first;
    action("next").disabled = at >= last;
    action("all").disabled = state.step === null;
    uses.value = uses.nextElementSibling.textContent = state.least;
    uses.setAttribute("aria-valuetext", many(state.least, "task"));
    select(state.picked);
    settle();
  }

  const marks = draw("g", { class: "pg-new", "aria-hidden": "true" });
  svg.append(marks);
  let marked = null;

  function markNew() {
    if (marked === state.step) return;
    marked = state.step;
    const fresh = nodes.flatMap(({ kind }, i) => (isNew(i) && !(data.low && kind === "head") ? [i] : []));
    marks.replaceChildren(
      ...fresh.flatMap((i) => {
        const head = nodes[i].kind === "head";
        const x = stands[i].x + (data.low ? -14 : head ? stands[i].width / 2 : stands[i].width - 12);
        const y = stands[i].y - (data.low ? 8.5 - stands[i].height / 2 : head ? 19 : 12);
        const badge = draw("rect", { x: x - 17, y, width: 34, height: 17, rx: 8.5 });
        return [badge, draw("text", { x, y: y + 12.8 }, "new")];
      }),
    );
  }

  function stepWords() {
    if (state.step === null) return HINT;
    if (state.step > 0) return tasks[state.step - 1].words;
    const there = nodes.filter((node) => node.weighs && node.since === 0).length;
    return `Before the first task: ${many(there, "module")}.`;
  }

  // -- The card ------------------------------------------------------------------------------------------------

  let leaving = 0;
  function show(target, anchor) {
    clearTimeout(leaving);
    state.seen = target;
    fill(target, anchor);
    update();
  }

  function fill(target, anchor = anchorOf(target)) {
    const kept = same(target, state.kept);
    const hint = make("p", { class: "pg-hint" }, kept ? "Escape releases it." : "Click or Enter keeps it.");
    const fresh = target.task === undefined ? words.nodeCard(target.node) : words.taskCard(target.task);
    card.replaceChildren(...fresh, hint);
    card.classList.toggle("is-kept", kept);
    card.hidden = false;
    place(target, anchor);
  }

  // Beside its anchor, where it hides least of what it speaks of, inside the stage and the window.
  function place(target, anchor) {
    const [frame, picture] = [stage.getBoundingClientRect(), svg.getBoundingClientRect()];
    const [width, height, scale] = [card.offsetWidth, card.offsetHeight, size.now()];
    const within = (value, low, high) => Math.max(low, Math.min(value, high));
    const over = (a, b, c, d) => Math.max(0, Math.min(b, d) - Math.max(a, c));
    const top = Math.max(frame.top, bar.getBoundingClientRect().bottom, 0) + 4;
    const floor = (panel.hidden ? innerHeight : panel.getBoundingClientRect().top) - 8;
    const right = Math.min(frame.right, innerWidth) - 6;
    const middle = [(anchor.left + anchor.right - width) / 2, (anchor.top + anchor.bottom - height) / 2];
    const on = new Set(tasksOf(target));
    const shown = stands.filter((_, i) => nodes[i].tasks.some((task) => on.has(task)));
    const tries = [
      [anchor.right + 14, middle[1]],
      [anchor.left - 14 - width, middle[1]],
      [middle[0], anchor.bottom + 14],
      [middle[0], anchor.top - 14 - height],
    ];
    let best = null;
    for (const [wantX, wantY] of tries) {
      const x = within(wantX, frame.left + 4, right - width);
      const y = Math.max(top, Math.min(wantY, floor - height));
      const hides = (l, r, t, b) => over(x, x + width, l, r) * over(y, y + height, t, b);
      let cost = 9 * hides(anchor.left - 4, anchor.right + 4, anchor.top - 4, anchor.bottom + 4);
      for (const box of shown) {
        const [u, v] = [picture.left + box.x * scale, picture.top + box.y * scale];
        cost += hides(u, u + box.width * scale, v, v + box.height * scale);
      }
      if (best === null || cost < best.cost - 1) best = { x, y, cost };
    }
    card.style.left = `${best.x - frame.left}px`;
    card.style.top = `${best.y - frame.top}px`;
  }

  // A module's box; of a task's head all of it, so that its name is not hidden.
  const shapeOf = (node) => (taskOf(node) === null ? boxes[node].querySelector("rect") : boxes[node]);
  const frameOf = (node) => shapeOf(node).getBoundingClientRect();

  function anchorOf(target) {
    const node = target.node ?? nodes.findIndex((_, i) => taskOf(i) === target.task);
    return node < 0 ? lines[target.task].getBoundingClientRect() : frameOf(node);
  }

  function leave() {
    clearTimeout(leaving);
    state.seen = null;
    if (state.kept) fill(state.kept);
    else card.hidden = true;
    update();
  }

  function leaveSoon() {
    clearTimeout(leaving);
    leaving = setTimeout(leave, 180); // time to reach the card
  }

  // -- Picking -------------------------------------------------------------------------------------------------

  function toggle(task, more = true) {
    const had = state.picked.has(task);
    const only = had && state.picked.size === 1;
    if (!more) state.picked.clear();
    if (had && (more || only)) state.picked.delete(task);
    else state.picked.add(task);
    if (state.step !== null && task >= state.step && state.picked.has(task)) state.step = null;
    state.kept = null;
    compare();
    const both = words.common(picked()).length;
    if (state.picked.size > 1) {
      say(`${many(state.picked.size, "task")} picked, ${both ? many(both, "module") : "no module"} in common.`);
    } else say(state.picked.size ? tasks[picked()[0]].words : stepWords());
    remember();
    update();
  }

  function compare() {
    panel.hidden = !state.picked.size;
    const drop = (task) => {
      toggle(task);
      find.focus({ preventScroll: true });
    };
    panel.replaceChildren(...(state.picked.size ? words.comparison(picked(), dashOf, drop) : []));
    if (!state.seen && !state.kept) card.hidden = true;
  }

  function press(target, more) {
    if (target.task !== undefined) return toggle(target.task, more);
    state.kept = same(target, state.kept) ? null : target;
    say(state.kept ? `Kept: ${nodes[target.node].words}` : stepWords());
    fill(target);
    return update();
  }

  // One after another: the card that is kept, what is picked, a card that is shown, the step.
  function release() {
    const was = state.kept;
    state.seen = null;
    if (was || !card.hidden) {
      state.kept = null;
      card.hidden = true;
    }
    if (was) say(stepWords());
    else if (state.picked.size) {
      state.picked.clear();
      compare();
      say(stepWords());
      remember();
    } else if (state.step !== null) stepTo(null);
    update();
  }

  // -- Stepping ------------------------------------------------------------------------------------------------

  let playing = 0;
  function stepTo(step) {
    state.step = step === null ? null : Math.max(first, Math.min(last, step));
    for (const task of picked()) if (state.step !== null && task >= state.step) state.picked.delete(task);
    if (state.kept?.node !== undefined && isLater(state.kept.node)) state.kept = null;
    compare();
    say(stepWords());
    remember();
    update();
  }

  function pause() {
    clearTimeout(playing);
    playing = 0;
    action("play").textContent = "Play";
    says.setAttribute("aria-live", "polite");
  }

  function play() {
    if (playing) return pause();
    if (state.step === null || state.step >= last) stepTo(first);
    action("play").textContent = "Pause";
    says.setAttribute("aria-live", "off"); // a screen reader would lag behind; it hears where it stops
    const pace = Math.max(600, Math.min(1600, 24000 / Math.max(last, 1)));
    const tick = () => {
      if (state.step === null || state.step >= last) return pause();
      stepTo(state.step + 1);
      playing = setTimeout(tick, pace);
      return undefined;
    };
    playing = setTimeout(tick, pace);
    return undefined;
  }

  const stepBy = (name, next) => action(name).addEventListener("click", () => (pause(), stepTo(next())));
  stepBy("back", () => (state.step ?? last) - 1);
  stepBy("next", () => (state.step ?? last) + 1);
  stepBy("all", () => null);
  action("play").addEventListener("click", play);
  time.addEventListener("input", () => (pause(), stepTo(Number(time.value))));
  uses.addEventListener("input", () => {
    state.least = Number(uses.value);
    say(state.least > 1 ? words.leastWords(state.least) : stepWords());
    remember();
    update();
  });

  // -- The pointer and the keyboard ------------------------------------------------------------------------------

  function targetAt(element) {
    const box = element.closest(".pg-node");
    const line = element.closest(".pg-task");
    if (box) return targetOf(boxes.indexOf(box));
    return line ? { task: lines.indexOf(line) } : null;
  }

  svg.addEventListener("pointerover", (event) => {
    const target = targetAt(event.target);
    if (!target || event.buttons) return;
    const { clientX: x, clientY: y } = event;
    const node = boxes.indexOf(event.target.closest(".pg-node"));
    show(target, node < 0 ? { left: x, right: x, top: y, bottom: y } : frameOf(node));
  });
  svg.addEventListener("pointerout", leaveSoon);
  view.addEventListener("focusout", leaveSoon); // not on the picture: that would make it a stop of Tab itself
  view.addEventListener("focusin", (event) => {
    const box = event.target.closest(".pg-node");
    if (box?.matches(":focus-visible")) show(targetAt(box), frameOf(boxes.indexOf(box)));
  });
  svg.addEventListener("click", (event) => {
    const target = targetAt(event.target);
    if (size.dragged()) return;
    if (target) press(target, event.ctrlKey || event.metaKey || event.shiftKey);
    else release();
  });
  card.addEventListener("pointerenter", () => clearTimeout(leaving));
  card.addEventListener("pointerleave", leaveSoon);
  root.addEventListener("keydown", (event) => event.key === "Escape" && release());
  view.addEventListener("scroll", () => {
    if (state.kept) fill(state.kept);
    else if (!svg.contains(document.activeElement)) card.hidden = true;
  });

  const find = one("[role=combobox]");
  const select = finder({
    find,
    list: one("[role=listbox]"),
    tasks,
    toggle(task) {
      toggle(task);
      const head = boxes[nodes.findIndex((_, i) => taskOf(i) === task)];
      if (state.picked.has(task)) head?.scrollIntoView({ block: "nearest", inline: "nearest" });
    },
    last: () => picked().at(-1),
    say,
  });
  const there = (node) => !isLater(node);
  const settle = roving({ svg, boxes, stands, there, press: (node, more) => press(targetOf(node), more) });
  const size = sizing({ root, svg, view, stage, bar, panel, changed: () => state.kept && fill(state.kept) });

  // -- The address, so that a view can be shared -----------------------------------------------------------------

  const alone = "alone" in root.dataset;

  function remember() {
    if (!alone) return;
    const address = new URLSearchParams(picked().map((task) => ["task", tasks[task].name]));
    if (state.step !== null) address.set("step", state.step);
    if (state.least > 1) address.set("least", state.least);
    const hash = address.size ? `#${address}` : "";
    try {
      if (hash !== location.hash) history.replaceState(null, "", hash || location.href.split("#")[0]);
    } catch {
      // Where a frame may not change its address there is nothing to share.
    }
  }

  function recall() {
    const address = new URLSearchParams(location.hash.slice(1));
    const whole = (name) => (/^\d{1,9}$/.test(address.get(name) ?? "") ? Number(address.get(name)) : null);
    const places = address.getAll("task").map((name) => tasks.findIndex((task) => task.name === name));
    state.picked = new Set(places.filter((task) => task >= 0));
    state.least = Math.max(1, Math.min(Number(uses.max), whole("least") ?? 1));
    stepTo(last ? whole("step") : null);
  }

  // -- Begin -----------------------------------------------------------------------------------------------------

  svg.setAttribute("role", "group");
  boxes.forEach((box, i) => {
    const [title, task] = [box.querySelector("title"), tasks[taskOf(i)]];
    title.remove(); // the card says it; one would stand on the other
    const seen = box.textContent.trim().replace(/\s+/g, " "); // the name begins with what is seen, for who speaks it
    box.setAttribute("aria-label", `${seen}; ${task ? `task ${task.name}, ` : ""}${title.textContent}`);
    box.setAttribute("role", "button");
    if (!box.hasAttribute("tabindex")) box.setAttribute("tabindex", "-1");
  });
  view.setAttribute("tabindex", "0");
  bar.hidden = false;
  addEventListener("beforeprint", () => all("details").forEach((part) => (part.open = true)));
  if (alone) {
    addEventListener("hashchange", recall);
    recall();
  } else say(HINT);
  paint();
}

document.querySelectorAll(".pg:not([data-ready])").forEach(start);
