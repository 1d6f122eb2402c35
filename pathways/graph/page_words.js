// What the page of a path graph says, as elements; every name is text, never markup.

const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const hue = (task) => `var(--task${task.hue})`;
const named = (text) => make("bdi", {}, text);
const count = (number) => number.toLocaleString("en");
const many = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

function dot(task) {
  const mark = make("span", { class: "pg-dot", "aria-hidden": "true" });
  mark.style.setProperty("--hue", hue(task));
  return mark;
}

// A piece of a task's line, with the dashes that tell it from others of its hue.
function swatch(task, dash) {
  const line = draw("path", { d: "M0 7H52", fill: "none", "stroke-width": 5, "stroke-dasharray": dash });
  line.style.stroke = hue(task);
  return draw("svg", { class: "pg-swatch", viewBox: "0 0 52 14", "aria-hidden": "true" }, line);
}

// Texts and elements with `between` from one to the next.
const joined = (parts, between = ", ") => parts.flatMap((part, i) => (i ? [between, part] : [part]));

function list(parts, most) {
  const more = parts.length - most;
  return [...joined(parts.slice(0, most)), ...(more > 0 ? [` and ${count(more)} more`] : [])];
}

function facts(pairs) {
  const rows = pairs.flatMap(([term, ...words]) => [make("dt", {}, term), make("dd", {}, ...words)]);
  return make("dl", {}, ...rows);
}

function wording({ tasks, nodes }) {
  function users(places) {
    if (places.length === tasks.length && tasks.length > 1) return [`all ${count(tasks.length)} tasks`];
    const names = list(places.map((task) => named(tasks[task].short)), 8);
    return places.length > 1 ? [`${count(places.length)} tasks: `, ...names] : names;
  }

  function nodeCard(place) {
    const node = nodes[place];
    const pairs = [["output", node.port]];
    if (node.weighs) {
      pairs.unshift(["parameters", count(node.parameters)]);
      pairs.push(["trained by", named(node.by)]);
    }
    pairs.push(["used by", ...users(node.tasks)]);
    if (node.id) pairs.push(["blob", make("code", { title: node.id }, node.id.slice(0, 16))]);
    const kind = node.kind === "module" ? "" : ` · ${node.kind}`;
    return [make("p", { class: "pg-title" }, `${node.family}${kind}`), facts(pairs)];
  }

  function taskCard(place) {
    const task = tasks[place];
    const own = task.nodes.filter((node) => nodes[node].since === place + 1);
    const others = new Set(own.flatMap((node) => nodes[node].tasks));
    others.delete(place);
    const users_ = [...others].sort((a, b) => a - b).map((other) => named(tasks[other].short));
    const pairs = [
      ["learned", `${count(place + 1)} of ${count(tasks.length)}`],
      ["path", many(task.nodes.length, "module")],
      ["added", task.added],
      ["builds on", ...(task.builds.length ? list(task.builds.map(named), 8) : ["nothing: its modules are its own"])],
      ["serves", ...(users_.length ? list(users_, 8) : ["no other task"])],
    ];
    if (task.note) pairs.unshift(["measured", task.note]);
    return [make("p", { class: "pg-title" }, dot(task), named(task.name)), facts(pairs)];
  }

  // The modules that all of several tasks use.
  function common(picked) {
    if (picked.length < 2) return [];
    const uses = (node) => node.weighs && picked.every((task) => node.tasks.includes(task));
    return nodes.flatMap((node, place) => (uses(node) ? [place] : []));
  }

  function comparison(picked, dashOf, drop) {
    const row = (place) => {
      const task = tasks[place];
      const out = make("button", { type: "button", "aria-label": `Release ${task.short}` }, "×");
      out.addEventListener("click", () => drop(place));
      const builds = task.builds.length ? list(task.builds.map(named), 5) : ["–"];
      const cells = [[task.note || "–"], [many(task.nodes.length, "module")], [task.added], builds, [out]];
      const head = make("th", { scope: "row" }, swatch(task, dashOf(place)), named(task.name));
      return make("tr", {}, head, ...cells.map((words) => make("td", {}, ...words)));
    };
    const columns = ["task", "measured", "path", "added", "builds on"];
    const cells = columns.map((word) => make("th", { scope: "col" }, word));
    const header = make("thead", {}, make("tr", {}, ...cells, make("td")));
    const parts = [make("table", {}, header, make("tbody", {}, ...picked.map(row)))];
    if (picked.length > 1) parts.push(make("p", {}, ...shared(common(picked))));
    return parts;
  }

  function shared(places) {
    if (!places.length) return [make("b", {}, "No module in common.")];
    const total = places.reduce((sum, place) => sum + nodes[place].parameters, 0);
    const kinds = new Map();
    for (const { family, by } of places.map((place) => nodes[place])) {
      const kind = JSON.stringify([family, by]);
      kinds.set(kind, { family, by, times: (kinds.get(kind)?.times ?? 0) + 1 });
    }
    const which = [...kinds.values()].map(({ family, by, times }) =>
      make("span", {}, `${family} of `, named(by), times > 1 ? ` ×${count(times)}` : ""),
    );
    const size = `, ${many(total, "parameter")}: `;
    return [make("b", {}, `In common: ${many(places.length, "module")}`), size, ...list(which, 6), "."];
  }

  function leastWords(least) {
    const modules = nodes.filter((node) => node.weighs && node.kind !== "head");
    const kept = modules.filter((node) => node.tasks.length >= least).length;
    const [verb, of] = [kept === 1 ? "is" : "are", many(modules.length, "module")];
    return `${count(kept)} of ${of} besides heads ${verb} used by ${many(least, "task")} or more.`;
  }

  return { nodeCard, taskCard, common, comparison, leastWords };
}
