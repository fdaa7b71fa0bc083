/**
 * Returns the middle of a picture, as large as the shape of the result allows, each value the mean
 * of the area that it covers, rounded half up.
 *
 * @param {{data: Uint8ClampedArray, width: number, height: number}} picture red, green, blue and
 *   alpha, as a canvas gives them; alpha is ignored
 * @param {number} toWidth of the result
 * @param {number} toHeight of the result
 * @param {number} channels 1 for grey, (299 red + 587 green + 114 blue) / 1000, or 3
 * @returns {Uint8Array} values row by row, the channel varying fastest
 */
export function fit(picture, toWidth, toHeight, channels) {
  const { data, width, height } = picture;
  if (width < 1 || height < 1 || data.length !== 4 * width * height) {
    throw new RangeError(
      `picture must have 4 * width * height values. Received: ${data.length} for ` +
        `${width} * ${height}`,
    );
  }
  const cutWidth = Math.max(1, Math.min(width, Math.floor((height * toWidth) / toHeight)));
  const cutHeight = Math.max(1, Math.min(height, Math.floor((width * toHeight) / toWidth)));
  const left = (width - cutWidth) >> 1;
  const top = (height - cutHeight) >> 1;
  const result = new Uint8Array(toWidth * toHeight * channels);
  const sums = new Float64Array(channels);
  const unit = channels === 1 ? 1000 : 1;
  // In units of 1 / to of a pixel, every edge is an integer, and so is every area.
  const whole = unit * cutWidth * cutHeight;
  for (let row = 0, place = 0; row < toHeight; row++) {
    for (let column = 0; column < toWidth; column++) {
      sums.fill(0);
      const firstX = Math.floor((column * cutWidth) / toWidth);
      const firstY = Math.floor((row * cutHeight) / toHeight);
      for (let y = firstY; y * toHeight < (row + 1) * cutHeight; y++) {
        const high = overlap(y, toHeight, row, cutHeight);
        for (let x = firstX; x * toWidth < (column + 1) * cutWidth; x++) {
          const area = high * overlap(x, toWidth, column, cutWidth);
          const i = 4 * ((top + y) * width + left + x);
          if (channels === 1) {
            sums[0] += area * (299 * data[i] + 587 * data[i + 1] + 114 * data[i + 2]);
          } else {
            for (let channel = 0; channel < 3; channel++) {
              sums[channel] += area * data[i + channel];
            }
          }
        }
      }
      for (const sum of sums) {
        result[place++] = Math.floor((2 * sum + whole) / (2 * whole));
      }
    }
  }
  return result;
}

/** Returns how much of pixel `source`, `to` units long, lies in `target`. */
function overlap(source, to, target, from) {
  return Math.min((source + 1) * to, (target + 1) * from) - Math.max(source * to, target * from);
}
