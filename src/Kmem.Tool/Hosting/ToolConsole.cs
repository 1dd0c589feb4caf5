using System;
using System.IO;
using Spectre.Console;

namespace Kmem.Tool.Hosting;

/// <summary>
/// Where a command writes: results to <see cref="Out"/>, notes and errors to <see cref="Error"/>, and progress to
/// <see cref="Progress"/>, which is null unless a person is looking. A terminal gets its own width and colours; a file
/// or a pipe gets plain text at <see cref="RedirectedWidth"/> columns, so that a table does not wrap at whatever width
/// the terminal of the moment has. <c>NO_COLOR</c> turns colours off on a terminal too.
/// </summary>
internal sealed class ToolConsole
{
    /// <summary>Columns of output that does not go to a terminal.</summary>
    public const int RedirectedWidth = 120;

    public ToolConsole(IAnsiConsole output, TextWriter outputText, TextWriter error, IAnsiConsole? progress)
    {
        Out = output;
        OutText = outputText;
        Error = error;
        Progress = progress;
    }

    /// <summary>Results, as tables and marked-up lines.</summary>
    public IAnsiConsole Out { get; }

    /// <summary>Results that must be passed on as they are: the /proc formats, JSON, help.</summary>
    public TextWriter OutText { get; }

    /// <summary>Notes and errors, one line each.</summary>
    public TextWriter Error { get; }

    /// <summary>For a progress bar; null when standard error is not an interactive terminal.</summary>
    public IAnsiConsole? Progress { get; }

    /// <summary>The console of the process.</summary>
    public static ToolConsole ForProcess()
    {
        bool plain = Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 };
        bool dumb = Environment.GetEnvironmentVariable("TERM") is "dumb";
        IAnsiConsole output;
        if (Console.IsOutputRedirected)
        {
            output = Plain(new LineTrimmingWriter(Console.Out), RedirectedWidth);
        }
        else
        {
            output = Terminal(Console.Out, plain, dumb);
        }

        bool watched = !Console.IsErrorRedirected && !Console.IsOutputRedirected && !dumb;
        return new ToolConsole(output, Console.Out, Console.Error, watched ? Terminal(Console.Error, plain, dumb) : null);
    }

    /// <summary>A console that collects text, for tests: what a pipe would receive.</summary>
    public static ToolConsole ForCapture(TextWriter output, TextWriter error, int width = RedirectedWidth)
    {
        return new ToolConsole(Plain(new LineTrimmingWriter(output), width), output, error, progress: null);
    }

    /// <summary>A line on standard error for something that the user should know but that is not a failure.</summary>
    public void Note(string message) => Error.WriteLine($"kmem: {message}");

    private static IAnsiConsole Terminal(TextWriter writer, bool plain, bool dumb)
    {
        return AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = dumb ? AnsiSupport.No : AnsiSupport.Detect,
            ColorSystem = plain || dumb ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
            Out = new AnsiConsoleOutput(writer),
        });
    }

    private static IAnsiConsole Plain(TextWriter writer, int width)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.No,
            ColorSystem = ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(writer),
        });
        console.Profile.Width = width;
        console.Profile.Capabilities.Unicode = true;
        return console;
    }
}
