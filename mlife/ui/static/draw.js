// Drawing on a picture: what is drawn is written into the fields of a form, which can be filled without it just as well.
//
// [data-draw] holds the picture, with its size in pixels. form[data-draws=rectangle] has fields x, y, width, height;
// form[data-draws=outline] a field of points; [data-draws=lines] a text with a line for each thing.

const box = document.querySelector("[data-draw]");
const forms = [...document.querySelectorAll("[data-draws]")];
if (box && forms.length) start(box, forms);

function start(box, forms) {
  const size = { width: Number(box.dataset.width), height: Number(box.dataset.height) };
  const canvas = document.createElement("canvas");
  canvas.setAttribute("aria-hidden", "true"); // the fields say the same
  box.append(canvas);
  document.querySelector("[data-draw-help]")?.removeAttribute("hidden");
  let chosen = forms[0];
  let from = null;
  let points = [];

  const place = (event) => {
    const seen = canvas.getBoundingClientRect();
    const across = (event.clientX - seen.left) / seen.width;
    const down = (event.clientY - seen.top) / seen.height;
    const within = (share, most) => Math.round(Math.min(Math.max(share, 0), 1) * most);
    return [within(across, size.width), within(down, size.height)];
  };

  function draw(shape) {
    const scale = Math.min(2, window.devicePixelRatio || 1);
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    const pen = canvas.getContext("2d");
    pen.scale(canvas.width / size.width, canvas.height / size.height);
    pen.beginPath();
    shape.forEach(([x, y], n) => (n ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    if (shape.length > 2) pen.closePath();
    const thin = size.width / canvas.width;
    for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width * thin * scale;
      pen.stroke();
    }
    for (const [x, y] of shape) pen.fillRect(x - 2 * thin, y - 2 * thin, 4 * thin, 4 * thin);
  }

  const corners = ([a, b], [c, d]) => [[a, b], [c, b], [c, d], [a, d]];
  const kind = () => (chosen.dataset.draws === "lines" ? chosen.dataset.shape : chosen.dataset.draws);

  function rectangle(to) {
    const [x, y] = [Math.min(from[0], to[0]), Math.min(from[1], to[1])];
    const [width, height] = [Math.abs(from[0] - to[0]), Math.abs(from[1] - to[1])];
    return { x, y, width, height };
  }

  function fill(values) {
    for (const [name, value] of Object.entries(values)) {
      const field = chosen.querySelector(`[name="${name}"]`);
      if (field) field.value = value;
    }
  }

  function line(text) {
    const field = chosen.querySelector("textarea");
    const label = chosen.querySelector("[data-label]").value.trim() || "thing";
    field.value = `${field.value.trimEnd()}\n${label} ${text}`.trimStart();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  canvas.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    if (kind() === "outline") {
      points.push(place(event));
      draw(points);
      const said = points.map((p) => p.join(",")).join(" ");
      if (chosen.dataset.draws !== "lines") fill({ outline: said });
      return;
    }
    if (kind() === "point") {
      const at = place(event);
      draw([at]);
      line(at.join(" "));
      return;
    }
    from = place(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from) draw(corners(from, place(event)));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!from) return;
    const found = rectangle(place(event));
    from = null;
    if (!found.width || !found.height) return;
    if (chosen.dataset.draws === "lines") line(`${found.x} ${found.y} ${found.width} ${found.height}`);
    else fill(found);
  });
  canvas.addEventListener("dblclick", () => {
    if (chosen.dataset.draws === "lines" && kind() === "outline" && points.length > 2) {
      line(points.slice(0, -1).map((p) => p.join(",")).join(" ")); // the second click of the two put one point too many
    }
    points = [];
  });
  for (const form of forms) {
    form.addEventListener("focusin", () => {
      if (form !== chosen) points = [];
      chosen = form;
    });
  }
}
