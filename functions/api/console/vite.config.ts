import { defineConfig } from 'vite'

// Four files with fixed names: `functions/api/src/routes/console.rs` compiles them into the function.
export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: ['chrome123', 'firefox120', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rolldownOptions: {
      output: {
        entryFileNames: 'console/app.js',
        assetFileNames: 'console/app[extname]',
        codeSplitting: false,
        postBanner:
          '/*! With preact, @preact/signals and uPlot, MIT licence: functions/api/console/LICENSES.md */',
      },
    },
  },
})
