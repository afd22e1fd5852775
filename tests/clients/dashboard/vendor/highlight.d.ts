declare const hljs: {
  [name: string]: any;
};
export default hljs;
