import { input, sample } from '../helpers.ts'

export default [sample('a matrix', [input([2, 3])], { opset: 7 }), sample('a scalar', [input([])])]
