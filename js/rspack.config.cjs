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
          // What is inlined or put into one expression is longer when it is compressed.
          compress: {
            passes: 3,
            ecma: 2021,
            inline: 0,
            keep_fargs: false,
            module: true,
            reduce_funcs: false,
            sequences: false,
            unsafe_arrows: true,
            unsafe_methods: true
          },
          format: { ecma: 2021, comments: false }
        }
      })
    ]
  }
};
