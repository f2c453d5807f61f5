// A player beside the segments of sound and film: links jump to theirs, and buttons write the player's time into a field.
//
// a[data-seek] jumps in the [data-player] of the page; without the script it leads to the file, at the same place.
// [data-marks] names the field that lines "label from to" are added to; it is shown by the script. A file that is chosen
// in a form is played before it is sent.

const player = () => document.querySelector("[data-player]");
let from = null;

function show() {
  for (const marks of document.querySelectorAll("[data-marks][hidden]")) if (player()) marks.hidden = false;
}

function jump(event, link) {
  if (!player() || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  player().currentTime = Number(link.dataset.seek);
  player().play()?.catch(() => {}); // the browser may want a click on the player itself first; it stands at the place
}

function mark(button) {
  const marks = button.closest("[data-marks]");
  const now = player().currentTime;
  const says = marks.querySelector("[role=status]");
  if (button.dataset.mark === "start") {
    from = now;
    says.textContent = `From ${now.toFixed(2)} s. Play on, then end it.`;
    return;
  }
  if (from === null || now <= from) {
    says.textContent = "Start it first, at an earlier time than this.";
    return;
  }
  const field = document.getElementById(marks.dataset.marks);
  const label = marks.querySelector("input").value.trim() || "thing";
  field.value = `${field.value.trimEnd()}\n${label} ${from.toFixed(2)} ${now.toFixed(2)}`.trimStart();
  field.dispatchEvent(new Event("input", { bubbles: true }));
  says.textContent = `Added: ${label} ${from.toFixed(2)} to ${now.toFixed(2)} s.`;
  from = null;
}

function playChosen(input) {
  const file = [...input.files].find((f) => /^(audio|video)\//.test(f.type));
  const room = document.querySelector("[data-plays-chosen]");
  if (!room || !file) return;
  const made = document.createElement(file.type.split("/")[0]);
  Object.assign(made, { controls: true, src: URL.createObjectURL(file), ariaLabel: file.name });
  made.dataset.player = "";
  room.replaceChildren(made);
  show();
}

document.addEventListener("click", (event) => {
  const target = event.target.closest?.("a[data-seek], [data-mark]");
  if (target?.matches("a")) jump(event, target);
  else if (target) mark(target);
});
document.addEventListener("change", (event) => {
  if (event.target.matches("input[type=file]")) playChosen(event.target);
});
document.addEventListener("htmx:afterSwap", show);
show();
