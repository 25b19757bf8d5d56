/** The zoo as PyTorch's other exporter writes it, and with axes of unknown sizes. */
import { testZoo } from './zoo-cells.ts'

testZoo((name) => /-dynam(o|ic)/.test(name))
