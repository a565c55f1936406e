// The webcam: its frames go to the model one after the other, as fast as this device predicts.

export class Camera {
  // `show` takes a frame as a bitmap and returns a promise; the next frame is read when it is fulfilled.
  constructor(show) {
    this.show = show;
    this.stream = null;
    this.video = document.createElement("video");
    Object.assign(this.video, { muted: true, playsInline: true });
  }

  get on() { return this.stream !== null; }

  async start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("The webcam can only be used on https pages and on this machine's own: open the page as http://localhost.");
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, facingMode: "environment" } });
    } catch (error) {
      const none = error.name === "NotFoundError";
      throw new Error(none ? "No webcam was found." : `The webcam cannot be used: ${error.message || error.name}.`);
    }
    this.video.srcObject = this.stream;
    await this.video.play();
    this.running = this.run(this.stream);
  }

  async run(stream) {
    while (this.stream === stream) {
      await this.show(await createImageBitmap(this.video));
      await new Promise(requestAnimationFrame);
    }
  }

  // Stop, and return the last frame as a photo, a blob.
  async stop() {
    const { stream, video, running } = this;
    if (!stream) return null;
    this.stream = null;
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0);
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    await running;
    return canvas.convertToBlob({ type: "image/png" });
  }
}
