/** Initial values of parameters. Every one is a function of the shape and of random numbers of its own. */
import type { Draws } from '../ir/random.ts'
import { sizeOf } from '../ir/type.ts'

export type Initial = (shape: ReadonlyArray<number>, random: Draws) => Float32Array

const generated =
  (draw: (random: Draws, shape: ReadonlyArray<number>) => () => number): Initial =>
  (shape, random) => {
    const values = new Float32Array(sizeOf(shape))
    const next = draw(random, shape)
    for (let i = 0; i < values.length; i++) values[i] = next()
    return values
  }

/** The same number everywhere. */
export const filled =
  (value: number): Initial =>
  (shape) =>
    new Float32Array(sizeOf(shape)).fill(value)

export const zeros = filled(0)

export const ones = filled(1)

/** N(0, deviation²). */
export const normal = (deviation: number): Initial => generated((random) => () => deviation * random.normal())

/** N(0, deviation²), numbers beyond two deviations drawn again. */
export const truncatedNormal = (deviation: number): Initial =>
  generated((random) => () => {
    for (;;) {
      const value = random.normal()
      if (Math.abs(value) <= 2) return deviation * value
    }
  })

/** Uniform on [-bound, bound). */
export const uniform = (bound: number): Initial => generated((random) => () => bound * (2 * random.next() - 1))

/** How many numbers a weight `[outputs, inputs, ...kernel]` sums for one output, and how many outputs one input reaches. */
const fans = (shape: ReadonlyArray<number>): { readonly fanIn: number; readonly fanOut: number } => {
  const [outputs = 1, inputs = 1, ...kernel] = shape
  return { fanIn: inputs * sizeOf(kernel), fanOut: outputs * sizeOf(kernel) }
}

/** N(0, 2 / fan out): keeps the scale of gradients through ReLU (He et al., arXiv 1502.01852, mode `fan_out`). */
export const kaimingNormal: Initial = generated((random, shape) => {
  const deviation = Math.sqrt(2 / fans(shape).fanOut)
  return () => deviation * random.normal()
})

/** N(0, 2 / (fan in + fan out)) (Glorot and Bengio 2010). */
export const glorotNormal: Initial = generated((random, shape) => {
  const { fanIn, fanOut } = fans(shape)
  const deviation = Math.sqrt(2 / (fanIn + fanOut))
  return () => deviation * random.normal()
})
