/** Every operator of TensorFlow that is translated, by name. */
import type { Lowering } from './call.ts'
import { elementOps } from './element-ops.ts'
import { shapeOps } from './shape-ops.ts'
import { windowOps } from './window-ops.ts'

export const lowerings: ReadonlyMap<string, Lowering> = new Map([...windowOps, ...elementOps, ...shapeOps])
