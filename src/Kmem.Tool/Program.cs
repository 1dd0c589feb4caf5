using Kmem.Tool.Commands;
using Kmem.Tool.Hosting;

return KmemCommand.Run(args, ToolConsole.ForProcess());
