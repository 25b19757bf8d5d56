/** Gives an example the weights that it is stored without. */
import { fillWeights } from '../../test/made-up-weights.ts'

addEventListener('message', ({ data }: MessageEvent<{ readonly bytes: ArrayBuffer; readonly name: string }>) => {
  const { buffer } = Uint8Array.from(fillWeights(new Uint8Array(data.bytes), data.name))
  postMessage(buffer, { transfer: [buffer] })
})
