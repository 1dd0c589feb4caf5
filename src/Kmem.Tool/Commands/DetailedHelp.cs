using System;
using System.Collections.Generic;
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.IO;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Commands;

/// <summary>
/// Help with a longer text at its end. A command's description also stands in the list of commands, where only a
/// line is wanted; what does not fit a line is given here.
/// </summary>
internal sealed class DetailedHelp : SynchronousCommandLineAction
{
    private const string Indent = "  ";

    private readonly HelpAction _help;
    private readonly IReadOnlyDictionary<Command, string> _details;
    private readonly int _width;

    private DetailedHelp(HelpAction help, IReadOnlyDictionary<Command, string> details)
    {
        _help = help;
        _details = details;
        _width = Math.Clamp(help.MaxWidth, 40, ToolConsole.RedirectedWidth);
        help.MaxWidth = _width;
    }

    // As for the help that it extends: what else is wrong with a command line does not matter when help is asked for.
    public override bool ClearsParseErrors => true;

    /// <summary>Adds texts to the help of the commands under <paramref name="root"/>.</summary>
    public static void AddTo(RootCommand root, IReadOnlyDictionary<Command, string> details)
    {
        foreach (Option option in root.Options)
        {
            if (option is HelpOption { Action: HelpAction help } helpOption)
            {
                helpOption.Action = new DetailedHelp(help, details);
            }
        }
    }

    public override int Invoke(ParseResult parseResult)
    {
        int exitCode = _help.Invoke(parseResult);
        if (_details.TryGetValue(parseResult.CommandResult.Command, out string? text))
        {
            WriteWrapped(parseResult.InvocationConfiguration.Output, text);
        }

        return exitCode;
    }

    /// <summary>Writes lines, indented and broken at words; further parts of a line keep its own indentation.</summary>
    private void WriteWrapped(TextWriter output, string text)
    {
        foreach (string line in text.Split('\n'))
        {
            string own = line[..(line.Length - line.TrimStart().Length)];
            string rest = line.Trim();
            int room = _width - Indent.Length - own.Length;
            while (rest.Length > room)
            {
                int end = rest.LastIndexOf(' ', room);
                if (end <= 0)
                {
                    break;
                }

                output.WriteLine(Indent + own + rest[..end]);
                rest = rest[(end + 1)..];
            }

            output.WriteLine(rest.Length == 0 ? "" : char.IsAsciiLetterUpper(rest[0]) && rest.EndsWith(':') ? rest : Indent + own + rest);
        }
    }
}
