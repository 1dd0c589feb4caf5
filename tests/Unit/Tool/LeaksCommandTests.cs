using System;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Kmem.Tool.Commands;
using Kmem.Tool.Hosting;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

/// <summary><c>kmem leaks</c> against programs that leak, over the diagnostics port of their runtime.</summary>
public sealed unsafe class LeaksCommandTests
{
    private const int Leaks = 40;

    [Fact]
    public void The_table_names_who_leaks_in_a_running_process()
    {
        using ServedProgram program = new(nameof(Child_leaks_when_told), "U");
        program.Order();
        ToolRun run = ToolRun.Of("leaks", program.Id);
        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Contains("Live objects of the heap 'shared': ", run.Output, StringComparison.Ordinal);
        string[] lines = run.Output.Split('\n');
        int site = Array.FindIndex(lines, static line => line.Contains(nameof(LeakOne), StringComparison.Ordinal));
        Assert.Matches(@"^ +40 +12,000 +\d.* kmalloc-320$", lines[site - 1]);
    }

    [Fact]
    public void Growth_is_shown_as_json_too()
    {
        using ServedProgram program = new(nameof(Child_leaks_when_told), "U");
        program.Order();
        ToolRun run = RunWithLeakBetween(program, "leaks", program.Id, "--difference", "1", "--json", "-");
        Assert.True(run.ExitCode == 0, run.Error);
        using JsonDocument json = JsonDocument.Parse(run.Output);
        JsonElement shared = json.RootElement.GetProperty("heaps").EnumerateArray().Single(static heap => heap.GetProperty("name").GetString() == "shared");
        JsonElement site = shared.GetProperty("sites").EnumerateArray().Single(static each => each.GetProperty("stack")[0].GetString()!.Contains(nameof(LeakOne), StringComparison.Ordinal));
        Assert.Equal((Leaks, Leaks * 300, 2 * Leaks), (site.GetProperty("objects").GetInt32(), site.GetProperty("bytes").GetInt32(), site.GetProperty("live_objects").GetInt32()));
        Assert.True(json.RootElement.GetProperty("seconds").GetDouble() >= 1);
    }

    [Fact]
    public void A_process_that_was_started_without_checks_gets_them_for_a_while()
    {
        using ServedProgram program = new(nameof(Child_leaks_when_told), "");
        program.Order();
        ToolRun without = ToolRun.Of("leaks", program.Id);
        Assert.Equal(1, without.ExitCode);
        Assert.Contains("no cache has the letter U", without.Error, StringComparison.Ordinal);
        Assert.Contains("--letters U", without.Error, StringComparison.Ordinal);

        ToolRun run = RunWithLeakBetween(program, "leaks", program.Id, "--letters", "U", "--difference", "1");
        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Matches($@"\+40 +\+12,000 +40  kmalloc-320\n    at [^\n]*{nameof(LeakOne)}", run.Output);

        ToolRun none = ToolRun.Of("leaks", program.Id, "--letters", "U,no-such-cache", "--difference", "1");
        Assert.Contains("switched nothing on", none.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_process_that_is_not_there_or_not_of_dotnet_is_told_of()
    {
        ToolRun gone = ToolRun.Of("leaks", int.MaxValue.ToString(System.Globalization.CultureInfo.InvariantCulture));
        Assert.Equal((1, "kmem: 2147483647: no such process\n"), (gone.ExitCode, gone.Error));
        if (OperatingSystem.IsLinux())
        {
            ToolRun other = ToolRun.Of("leaks", "1");
            Assert.Equal(1, other.ExitCode);
            Assert.StartsWith("kmem: 1: no .NET process that can be asked", other.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_process_without_Kmem_is_told_of()
    {
        using ServedProgram program = new(nameof(Child_does_not_use_Kmem), "U");
        ToolRun run = ToolRun.Of("leaks", program.Id);
        Assert.Equal(1, run.ExitCode);

        // Other tests' data may have made Kmem's source, but no heap is left.
        Assert.Matches("no Kmem is in use there|no heap yet", run.Error);
    }

    [Theory]
    [InlineData("--letters goes with --difference", "--letters", "U")]
    [InlineData("it has U, perhaps with F, Z and P", "--letters", "Q", "--difference", "1")]
    [InlineData("it has U, perhaps with F, Z and P", "--letters", "ZP", "--difference", "1")]
    [InlineData("it must be from 1 to 86400", "--difference", "0")]
    [InlineData("it must be from 1 to", "--top", "0")]
    public void Wrong_options_are_told_of(string message, params string[] options)
    {
        ToolRun run = ToolRun.Of(["leaks", "1", .. options]);
        Assert.NotEqual(0, run.ExitCode);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
    }

    /// <summary>The program leaks once more after the first look, when the command says that it waits for the second.</summary>
    private static ToolRun RunWithLeakBetween(ServedProgram program, params string[] arguments)
    {
        StringWriter output = new() { NewLine = "\n" };
        using NoticingWriter error = new(line =>
        {
            if (line.Contains("looking again", StringComparison.Ordinal))
            {
                program.Order();
            }
        });
        int exitCode = KmemCommand.Run(arguments, ToolConsole.ForCapture(output, error));
        return new ToolRun(exitCode, output.ToString(), error.ToString());
    }

    private sealed class NoticingWriter(Action<string> notice) : StringWriter
    {
        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            notice(value ?? "");
        }
    }

    // ------------------------------------------------------------------ the programs

    [Fact(Explicit = true)]
    public void Child_leaks_when_told() => ServedProgram.Serve(static () =>
    {
        for (int count = 0; count < Leaks; count++)
        {
            LeakOne();
            Kmalloc.Free(Kmalloc.Alloc(5000));
        }
    });

    [Fact(Explicit = true)]
    public void Child_does_not_use_Kmem() => ServedProgram.Serve(static () => { });

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void LeakOne() => *(byte*)Kmalloc.Alloc(300) = 1;
}
