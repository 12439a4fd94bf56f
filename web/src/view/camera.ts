/** Where the image is on the canvas: zoom and pan. Image coordinates: centre of the first pixel 0, 0. */
import type { Point } from "../session/prompts";

const [LEAST, MOST] = [0.02, 64]; // canvas pixels to one of the image

export class Camera {
  scale = 1;
  private left = 0; // of the image on the canvas
  private top = 0;

  /** Show a window of the image in the middle of the canvas, as large as fits. */
  show(top: number, left: number, bottom: number, right: number, canvas: { width: number; height: number }): void {
    const fits = Math.min(canvas.width / (right - left), canvas.height / (bottom - top));
    this.scale = Math.min(Math.max(fits, LEAST), MOST);
    this.left = canvas.width / 2 - ((left + right) / 2) * this.scale;
    this.top = canvas.height / 2 - ((top + bottom) / 2) * this.scale;
  }

  pan(dx: number, dy: number): void {
    this.left += dx;
    this.top += dy;
  }

  /** Zoom about a place on the canvas, which stays where it is. */
  zoom(factor: number, x: number, y: number): void {
    const scale = Math.min(Math.max(this.scale * factor, LEAST), MOST);
    this.left = x - ((x - this.left) * scale) / this.scale;
    this.top = y - ((y - this.top) * scale) / this.scale;
    this.scale = scale;
  }

  toImage(x: number, y: number): Point {
    return [(y - this.top) / this.scale - 0.5, (x - this.left) / this.scale - 0.5];
  }

  toCanvas([y, x]: Point): [x: number, y: number] {
    return [(x + 0.5) * this.scale + this.left, (y + 0.5) * this.scale + this.top];
  }

  /** Canvas coordinates become edges of image pixels: 0 is the image's left edge. */
  apply(context: CanvasRenderingContext2D): void {
    context.setTransform(this.scale, 0, 0, this.scale, this.left, this.top);
  }
}
