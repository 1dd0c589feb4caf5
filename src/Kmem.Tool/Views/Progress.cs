using System;
using System.Threading;
using System.Threading.Tasks;
using Kmem.Tool.Hosting;
using Spectre.Console;

namespace Kmem.Tool.Views;

/// <summary>
/// A progress bar for one piece of work, where somebody watches; elsewhere the work alone. The bar is on standard error, is
/// drawn by a thread of its own that looks at a counter now and then, and is gone when the work is done.
/// </summary>
internal static class Progress
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(80);

    /// <param name="console">The bar goes to its <see cref="ToolConsole.Progress"/>, if there is one.</param>
    /// <param name="title">What is being done.</param>
    /// <param name="total">All of it; 0 where that is not known.</param>
    /// <param name="done">How much of it is done; called from another thread.</param>
    /// <param name="work">The work.</param>
    public static T Run<T>(ToolConsole console, string title, long total, Func<long> done, Func<T> work) => Run(console, () => title, total, done, work);

    /// <summary>The same with a title that changes: it is asked for whenever the bar is drawn, from another thread.</summary>
    public static T Run<T>(ToolConsole console, Func<string> title, long total, Func<long> done, Func<T> work)
    {
        if (console.Progress is not { } screen)
        {
            return work();
        }

        // The bar hides the cursor; a terminal without one should not be what an interrupted command leaves behind.
        void ShowCursor(object? sender, ConsoleCancelEventArgs arguments) => screen.Cursor.Show(true);
        Console.CancelKeyPress += ShowCursor;
        try
        {
            return new Spectre.Console.Progress(screen) { AutoClear = true, AutoRefresh = true }
                .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn())
                .Start(context => Watch(context.AddTask(Markup.Escape(title()), maxValue: Math.Max(1, total)), title, total, done, work));
        }
        finally
        {
            Console.CancelKeyPress -= ShowCursor;
        }
    }

    private static T Watch<T>(ProgressTask task, Func<string> title, long total, Func<long> done, Func<T> work)
    {
        task.IsIndeterminate = total == 0;
        using ManualResetEventSlim finished = new(false);
        Task watcher = Task.Run(() =>
        {
            while (!finished.Wait(s_interval))
            {
                task.Value = done();
                task.Description = Markup.Escape(title());
            }
        });
        try
        {
            return work();
        }
        finally
        {
            finished.Set();
            watcher.Wait();
        }
    }
}
