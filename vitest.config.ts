import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
    // No limits: on a busy machine any would fail a test that is right. What hangs is ended by who started the tests.
    testTimeout: 0,
    hookTimeout: 0,
    maxWorkers: 2,
  },
})
