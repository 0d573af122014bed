// One digit: how it is asked for, and how its reading looks.

import { Chart } from "./chart.js";
import { Learned } from "./learned.js";
import { digitWords } from "./words.js";

export class Digit {
  kind = "digit";
  idle = "Draw a digit from 0 to 9.";
  invitation = "Draw a digit here";
  label = "Digit";
  #at;
  #chart;
  #learned;

  constructor(at, setNumber) {
    this.#at = at;
    this.#chart = new Chart(at.chart);
    this.#learned = new Learned(at, setNumber);
  }

  /** What is asked beside the picture; without a number to add, the digit is read all the same. */
  fields(number) {
    return { number: number ?? 0 };
  }

  /** There is another number to add, or null. */
  move(number) {
    this.#chart.move(number);
  }

  /** The headline: the digit and the sum. */
  answer({ digit, sum }) {
    return [digit, sum];
  }

  /** The probability that there is one, null if nobody knows, in words and as a number. */
  there({ is_digit_probability: share }) {
    return { what: "A digit", share };
  }

  words(reading, uploaded) {
    return digitWords(reading, uploaded);
  }

  /** Show the reading that answers a question, or none; its sums if there is a number to add. */
  draw(reading, number = null, question = null) {
    this.#chart.draw(reading, number !== null);
    this.#learned.draw(reading, number, question);
    const seen = this.#at.seen.getContext("2d");
    if (reading) seen.putImageData(pixels(reading.image), 0, 0);
    else seen.clearRect(0, 0, this.#at.seen.width, this.#at.seen.height);
  }
}

function pixels(image) {
  const data = new ImageData(image.length, image.length);
  image.flat().forEach((intensity, i) => data.data.set([...Array(3).fill(255 * intensity), 255], 4 * i));
  return data;
}
