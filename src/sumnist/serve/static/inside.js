export class Inside {
  draw() {}
}
