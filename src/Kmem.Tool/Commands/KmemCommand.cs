using System;
using System.CommandLine;
using System.CommandLine.Help;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Commands;

/// <summary>The command <c>kmem</c>: its parts, and how it ends.</summary>
internal static class KmemCommand
{
    private const string Description =
        """
        Kmem: the kernel's slab allocator as a .NET library, and what the kernel's tools show of it.

        Examples:
          kmem replay traces/linux-6.18-filesystem.ftrace.gz
          kmem replay trace.txt --threads 2 --size-classes kernel --snapshot heap.json
          kmem slabinfo heap.json --raw
          kmem layout --compare /sys/kernel/slab
        """;

    /// <summary>Runs the command. Returns the exit code: 0, 1 for a failure (one line on standard error says which), or what the parser gives a wrong command line.</summary>
    public static int Run(string[] arguments, ToolConsole console)
    {
        RootCommand root = new(Description)
        {
            ReplayCommand.Create(console),
            SnapshotCommands.CreateSlabInfo(console),
            SnapshotCommands.CreateBuddyInfo(console),
            LayoutCommand.Create(console),
        };
        foreach (Option option in root.Options)
        {
            if (option is HelpOption { Action: HelpAction help })
            {
                help.MaxWidth = Math.Min(help.MaxWidth, ToolConsole.RedirectedWidth);
            }
        }

        try
        {
            return root.Parse(arguments).Invoke(new InvocationConfiguration
            {
                Output = console.OutText,
                Error = console.Error,
                EnableDefaultExceptionHandler = false,
            });
        }
        catch (ToolException exception)
        {
            console.Note(exception.Message);
        }
        catch (OutOfMemoryException exception)
        {
            console.Note($"out of memory: {exception.Message}");
        }
        catch (Exception exception) when (Environment.GetEnvironmentVariable("KMEM_TOOL_TRACE") is null)
        {
            string message = exception.Message.Split('\n', 2)[0].TrimEnd();
            console.Note($"internal error: {exception.GetType().Name}: {message} (set KMEM_TOOL_TRACE=1 to see where)");
        }

        return 1;
    }
}
