// The task “One digit”: what it asks the engine, and how it shows the reading.

import { Chart } from "./chart.js";
import { Learned } from "./learned.js";
import { digitWords } from "./words.js";

const EACH = "How probable each digit is";
const IF_DIGIT = `${EACH}, if it is a digit`;
const NO_DIGIT = ["not a digit", "unusual form"]; // reasons for a refusal that leave it open

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

  /** The fields that go with the picture. Without a number to add it sends 0: the digit can still be read. */
  fields(number) {
    return { number: number ?? 0 };
  }

  /** Show that another number is to be added, or none (null). */
  move(number) {
    this.#chart.move(number);
  }

  /** The headline: the digit and the sum. */
  answer({ digit, sum }) {
    return [digit, sum];
  }

  /** The probability that the picture shows a digit, null if unknown, and a word for what it shows. */
  there({ is_digit_probability: share }) {
    return { what: "A digit", share };
  }

  words(reading, uploaded, size) {
    return digitWords(reading, uploaded, size);
  }

  /** Show the reading that answers a question, or none; with its sums if there is a number to add. */
  draw(reading, number = null, question = null) {
    this.#chart.draw(reading, number !== null);
    this.#at["of-digits"].textContent = NO_DIGIT.includes(question?.settled && reading?.reason) ? IF_DIGIT : EACH;
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
