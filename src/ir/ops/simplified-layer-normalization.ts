import type { OpDef } from '../op.ts'
import { RMSNormalization, type RMSNormalizationAttributes } from './rms-normalization.ts'

/** RMSNormalization under the name that ONNX Runtime gives it in models of any opset. */
export const SimplifiedLayerNormalization: OpDef<'SimplifiedLayerNormalization', RMSNormalizationAttributes> = {
  ...RMSNormalization,
  name: 'SimplifiedLayerNormalization',
  versions: [1, Infinity],
}
