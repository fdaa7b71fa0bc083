const STROKE = 0.09;
const STEP = 1 / 28;
const ARROWS = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP],
};

/**
 * Lets a person draw on a canvas in white on black: with a pointer, or with the arrow keys, where
 * the space bar lowers and lifts the pen.
 */
export class Drawing {
  #canvas;
  #context;
  #onStroke;
  #last = null;
  // Of the keyboard's pen, in units of the side.
  #pen = [0.5, 0.5];
  #isDown = false;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onStroke is called after each stroke
   */
  constructor(canvas, onStroke) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
    this.#onStroke = onStroke;
    this.clear();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#last = null;
      this.#lineTo(this.#place(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.#last) {
        const events = event.getCoalescedEvents?.() ?? [];
        (events.length ? events : [event]).forEach((one) => this.#lineTo(this.#place(one)));
      }
    });
    const end = () => {
      if (this.#last) {
        this.#last = null;
        this.#onStroke();
      }
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("keydown", (event) => this.#onKey(event));
  }

  clear() {
    this.#context.fillStyle = "black";
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#isDown = false;
  }

  /** Returns the picture: red, green, blue and alpha of each pixel. */
  picture() {
    return this.#context.getImageData(0, 0, this.#canvas.width, this.#canvas.height);
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  #lineTo([x, y]) {
    const side = this.#canvas.width;
    const [fromX, fromY] = this.#last ?? [x, y];
    this.#context.strokeStyle = "white";
    this.#context.lineWidth = STROKE * side;
    this.#context.lineCap = "round";
    this.#context.beginPath();
    this.#context.moveTo(fromX * side, fromY * side);
    this.#context.lineTo(x * side, y * side);
    this.#context.stroke();
    this.#last = [x, y];
  }

  #onKey(event) {
    if (event.key === " ") {
      this.#isDown = !this.#isDown;
      this.#last = null;
      if (this.#isDown) {
        this.#lineTo(this.#pen);
      } else {
        this.#onStroke();
      }
    } else if (event.key in ARROWS) {
      const move = ARROWS[event.key];
      this.#pen = this.#pen.map((at, axis) => Math.min(1, Math.max(0, at + move[axis])));
      if (this.#isDown) {
        this.#lineTo(this.#pen);
      }
    } else {
      return;
    }
    event.preventDefault();
    const [x, y] = this.#pen.map((at) => Math.round(at * 28));
    const pen = this.#isDown ? "down" : "up";
    this.#canvas.setAttribute("aria-label", `Canvas. The pen is ${pen}, at ${x}, ${y} of 28.`);
  }
}
