import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { defineConfig } from 'vite'

// Four files with fixed names: `functions/api/src/routes/reference.rs` compiles them into the function, the two large ones
// as gzip.
export default defineConfig({
  base: './',
  plugins: [{
    name: 'compress',
    apply: 'build',
    closeBundle() {
      for (const name of readdirSync('dist/docs').filter((one) => /\.(js|css)$/.test(one))) {
        const file = `dist/docs/${name}`
        writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }))
        rmSync(file)
      }
    },
  }],
  build: {
    target: ['chrome123', 'firefox120', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
    rolldownOptions: {
      output: {
        entryFileNames: 'docs/app.js',
        assetFileNames: 'docs/app[extname]',
        codeSplitting: false,
        postBanner: '/*! With Swagger UI, Apache-2.0 licence, and its libraries: functions/api/reference/LICENSES.md */',
      },
    },
  },
})
