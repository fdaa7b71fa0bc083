const LONGEST = 280;
const STROKE = 0.09;
const STEPS = 28;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Lets a person draw on a canvas in white on black: with one pointer, or with the arrow keys, where
 * the space bar lowers and lifts the pen.
 */
export class Drawing {
  #canvas;
  #context;
  #onStroke;
  #pen;
  // The pointer that draws, and where it was; others are left out.
  #pointer = null;
  #last;
  // The keyboard's pen, in steps.
  #at = [STEPS / 2, STEPS / 2];
  #isDown = false;

  /**
   * @param {HTMLCanvasElement} canvas which takes the shape of the images
   * @param {HTMLElement} pen shows where the keyboard's pen is
   * @param {{width: number, height: number}} images that the model takes
   * @param {() => void} onStroke is called after each stroke
   */
  constructor(canvas, pen, images, onStroke) {
    const scale = LONGEST / Math.max(images.width, images.height);
    canvas.width = Math.max(1, Math.round(scale * images.width));
    canvas.height = Math.max(1, Math.round(scale * images.height));
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
    this.#onStroke = onStroke;
    this.#pen = pen;
    this.clear();
    canvas.addEventListener("pointerdown", (event) => {
      if (this.#pointer === null && event.button === 0) {
        canvas.setPointerCapture(event.pointerId);
        this.#pointer = event.pointerId;
        this.#last = this.#line(this.#place(event), this.#place(event));
      }
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId === this.#pointer) {
        const events = event.getCoalescedEvents?.() ?? [];
        for (const one of events.length ? events : [event]) {
          this.#last = this.#line(this.#last, this.#place(one));
        }
      }
    });
    const end = (event) => {
      if (event.pointerId === this.#pointer) {
        this.#pointer = null;
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
    this.#pointer = null;
    this.#tell("Draw with a pointer, or with the arrow keys after the space bar.");
  }

  /** Returns the picture: red, green, blue and alpha of each pixel. */
  picture() {
    return this.#context.getImageData(0, 0, this.#canvas.width, this.#canvas.height);
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  /** Draws from one place to another, in parts of width and height, and returns the other. */
  #line([fromX, fromY], [x, y]) {
    const { width, height } = this.#canvas;
    this.#context.strokeStyle = "white";
    this.#context.lineWidth = STROKE * Math.max(width, height);
    this.#context.lineCap = "round";
    this.#context.beginPath();
    this.#context.moveTo(fromX * width, fromY * height);
    this.#context.lineTo(x * width, y * height);
    this.#context.stroke();
    return [x, y];
  }

  #onKey(event) {
    const from = this.#at;
    if (event.key === " " && !event.repeat) {
      this.#isDown = !this.#isDown;
    } else if (event.key in ARROWS) {
      const move = ARROWS[event.key];
      this.#at = from.map((at, axis) => Math.min(STEPS, Math.max(0, at + move[axis])));
    } else if (event.key !== " ") {
      return;
    }
    event.preventDefault();
    if (this.#isDown) {
      this.#line(...[from, this.#at].map((place) => place.map((step) => step / STEPS)));
    }
    const [x, y] = this.#at;
    this.#tell(`The pen is ${this.#isDown ? "down" : "up"}, at ${x}, ${y} of ${STEPS}.`);
    if (event.key === " " && !event.repeat && !this.#isDown) {
      this.#onStroke();
    }
  }

  #tell(text) {
    const [x, y] = this.#at.map((step) => `${(100 * step) / STEPS}%`);
    Object.assign(this.#pen.style, { left: x, top: y });
    this.#pen.dataset.down = this.#isDown;
    this.#canvas.setAttribute("aria-label", `Canvas. ${text}`);
  }
}
