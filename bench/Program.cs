using BenchmarkDotNet.Running;
using Kmem.Bench;

BenchmarkSwitcher.FromAssembly(typeof(AllocatorConfig).Assembly).Run(args, new AllocatorConfig());
