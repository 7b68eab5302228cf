const { rspack } = require('@rspack/core');

module.exports = {
  target: ['web', 'es2022'],
  module: {
    // The stylesheet goes into the extension as text: without its comments and spaces.
    rules: [{ test: /\.raw\.css$/, loader: 'builtin:lightningcss-loader', options: { minify: true, targets: 'chrome 111' } }]
  },
  optimization: {
    minimizer: [
      new rspack.SwcJsMinimizerRspackPlugin({
        minimizerOptions: {
          compress: { passes: 3, ecma: 2021, keep_fargs: false, unsafe_arrows: true, unsafe_methods: true },
          format: { ecma: 2021, comments: false }
        }
      })
    ]
  }
};
