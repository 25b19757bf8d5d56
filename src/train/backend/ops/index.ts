/** The device operations of a backend: of several ways to compute one, the fastest that it has. */
import type { Core } from '../tensor.ts'
import { basicOps } from './basic.ts'
import { convolutionOps } from './convolution.ts'
import { fusedOps } from './fused.ts'
import type { DeviceOps } from './types.ts'

export const deviceOps = (core: Core, backend: string): DeviceOps => {
  const basic = basicOps(core)
  return { ...basic, ...convolutionOps(core, basic, backend), ...fusedOps(core, basic, backend) }
}
