/** The zoo as PyTorch's TorchScript exporter and others write it, axes of known sizes. */
import { testZoo } from './zoo-cells.ts'

testZoo((name) => !/-dynam(o|ic)/.test(name))
