/** Why operators stay in float32 in a model of half precision ({@link OpDef.float32}). */
import type { Float32Use } from '../op.ts'

/** A sum, a power or an exponential: of usual numbers it is beyond 65504, or below what half precision tells from zero. */
export const leavesRange: Float32Use = { because: 'what it makes of usual numbers leaves the range of half precision' }

/** Squares are summed up inside, which runtimes do in the type of the operands. */
export const sumsSquares: Float32Use = { because: 'it sums up squares, which leave the range of half precision' }

/** ONNX has no half precision for it, in this version or in any. */
export const notDefined: Float32Use = { because: 'ONNX defines it for float32, not for half precision' }

/** Coordinates between pixels, of which half precision holds too few digits: beyond 1024 no fraction. */
export const needsPositions: Float32Use = { because: 'positions to read at need more digits than half precision has' }
