// The list of tasks: type to narrow it, arrows to move, Enter or a click to pick or release one.

function finder({ find, list, tasks, toggle, last, say }) {
  const options = tasks.map((task, place) => {
    const attributes = { role: "option", id: `${list.id}-${place}`, "aria-selected": "false" };
    return make("li", attributes, dot(task), named(task.name));
  });
  list.append(...options);
  let at = null;

  function open(yes) {
    list.hidden = !yes;
    find.setAttribute("aria-expanded", String(yes));
    if (!yes) moveTo(null);
  }

  function moveTo(option) {
    at?.classList.remove("is-at");
    at = option;
    at?.classList.add("is-at");
    at?.scrollIntoView({ block: "nearest" });
    if (at) find.setAttribute("aria-activedescendant", at.id);
    else find.removeAttribute("aria-activedescendant");
  }

  // What is typed is sought where names differ: behind the folder that all share, unless it names a folder itself.
  const folder = tasks.length ? tasks[0].name.slice(0, tasks[0].name.lastIndexOf("/") + 1) : "";
  const skip = tasks.every((task) => task.name.startsWith(folder)) ? folder.length : 0;
  const has = ({ name }, word) => name.slice(word.includes("/") ? 0 : skip).toLowerCase().includes(word);

  const offered = () => options.filter((option) => !option.hidden);

  function narrow() {
    const typed = find.value.trim();
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    options.forEach((option, place) => (option.hidden = !words.every((word) => has(tasks[place], word))));
    const found = offered();
    open(found.length > 0);
    moveTo(words.length ? (found[0] ?? null) : null);
    if (words.length) say(found.length ? `${many(found.length, "task")} found.` : `No task is named “${typed}”.`);
  }

  function move(step) {
    if (list.hidden) narrow();
    const found = offered();
    const from = at ? found.indexOf(at) : step > 0 ? -1 : found.length;
    moveTo(found[(from + step + found.length) % found.length] ?? null);
  }

  find.addEventListener("input", narrow);
  find.addEventListener("click", () => list.hidden && narrow());
  find.addEventListener("blur", () => open(false));
  find.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter" && at) toggle(options.indexOf(at));
    else if (event.key === "Escape" && (find.value || !list.hidden)) {
      find.value = "";
      narrow();
      open(false);
      event.stopPropagation(); // what is picked stays
    } else if (event.key === "Backspace" && !find.value && last() !== undefined) toggle(last());
    else return;
    event.preventDefault();
  });
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays in the field
  list.addEventListener("click", (event) => {
    const option = event.target.closest("li");
    if (!option) return;
    moveTo(option);
    toggle(options.indexOf(option));
  });

  return (picked) => options.forEach((option, place) => option.setAttribute("aria-selected", picked.has(place)));
}
