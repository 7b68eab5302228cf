// The stylesheet goes into the extension as text: without its comments and spaces.
module.exports = {
  module: {
    rules: [{ test: /\.raw\.css$/, loader: 'builtin:lightningcss-loader', options: { minify: true, targets: 'chrome 111' } }]
  }
};
