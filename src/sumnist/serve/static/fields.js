// Receptive fields: which places of an earlier layer a place of a network's map sees, along one side.
//
// A field { start, step, size } says that place i sees `size` places, beginning at start + i * step. Fields compose:
// the fields of two layers in the image give the field of the later layer in the earlier one.

const WHOLE = 28; // pixels along a side of the image

/** The field of a layer in the image. If the layer does not say, its size gives an estimate, marked by `about`. */
export function fieldOf({ side, field }) {
  if (field) return { ...field, about: false };
  return { start: 0, step: WHOLE / side, size: WHOLE / side, about: side > 1 };
}

/** The image as a layer. */
export const IMAGE = { side: WHOLE, channels: 1, field: { start: 0, step: 1, size: 1 } };

/** The places of `layer` that a place of a later layer sees: the first, and the one after the last. */
export function seen(layer, later, place) {
  const { start, step, size } = between(layer, later);
  const first = Math.floor(start + place * step);
  return [within(first, layer.side), within(Math.ceil(start + place * step + size), layer.side)];
}

/** The places of a later layer that see a place of `layer`: the first, and the one after the last. */
export function seeing(layer, later, place) {
  const { start, step, size } = between(layer, later);
  const first = Math.floor((place - start - size) / step) + 1;
  return [within(first, later.side), within(Math.ceil((place + 1 - start) / step), later.side)];
}

function between(layer, later) {
  const [inner, outer] = [fieldOf(layer), fieldOf(later)];
  return {
    start: (outer.start - inner.start) / inner.step,
    step: outer.step / inner.step,
    size: later.side === 1 ? layer.side : (outer.size - inner.size) / inner.step + 1,
  };
}

function within(place, side) {
  return Math.min(Math.max(place, 0), side);
}
