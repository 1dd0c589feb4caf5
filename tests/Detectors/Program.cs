using System;
using System.Linq;

namespace Kmem.Tests.Detectors;

/// <summary>
/// <c>NAME</c> makes one mistake and dies of it, as a program does that catches nothing. <c>--table</c> makes each, with each thing that may come across it later, and prints a line for
/// each: name, finder, what found it or nothing. <c>--guarded NAME</c> makes one where each object is on guarded pages. What is checked says <c>KMEM_DEBUG</c>.
/// </summary>
public static class Program
{
    private const int LaterOperations = 30_000;

    public static int Main(string[] arguments)
    {
        // Maintenance that comes in between, as on a slow machine, gives slabs back and so changes which object lies behind another.
        KmemHeap.Shared.MaintenanceIntervalMilliseconds = 0;
        Misuses.Begin();
        if (arguments is ["--table"])
        {
            foreach (Misuse misuse in Misuses.All)
            {
                PrintRow(misuse);
            }

            return 0;
        }

        if (arguments is ["--guarded", string name])
        {
            MakeGuarded(Misuses.All.First(each => each.Name == name));
            return 0;
        }

        Misuse? chosen = arguments.Length == 1 ? Misuses.All.FirstOrDefault(each => each.Name == arguments[0]) : null;
        if (chosen == null)
        {
            Console.Error.WriteLine($"Name a mistake, or --table: {string.Join(", ", Misuses.All.Select(static each => each.Name))}");
            return 2;
        }

        chosen.Commit();
        Look(chosen, Finder.Next);
        Look(chosen, Finder.Validate);
        Console.WriteLine("nothing found");
        return 0;
    }

    /// <summary>Each finder by itself: the mistake is made anew for each, and what it left is swept away in between.</summary>
    private static void PrintRow(Misuse misuse)
    {
        foreach (Finder finder in Enum.GetValues<Finder>())
        {
            string found = Try(misuse.Commit) ? "at once" : Try(() => Look(misuse, finder)) ? "found" : "";
            Console.WriteLine($"{misuse.Name}\t{finder}\t{found}");
            while (Try(static () => KmemHeap.Shared.Validate()) || Try(static () => KmemHeap.Shared.Trim()))
            {
            }

            if (found == "at once" && finder == Finder.Next)
            {
                break;
            }
        }
    }

    /// <summary>A guarded object lies at one end of its page or the other, by chance: touching what one must not is tried until it ends the process, or it never does.</summary>
    private static void MakeGuarded(Misuse misuse)
    {
        const int Tries = 24;
        bool isFound = false;
        for (int left = misuse.Touches ? Tries : 1; left > 0; left--)
        {
            isFound |= Try(misuse.Commit);
        }

        Console.WriteLine(isFound ? "at once" : "nothing found");
    }

    private static void Look(Misuse misuse, Finder finder)
    {
        switch (finder)
        {
            case Finder.Next:
                misuse.AllocateAgain();
                break;
            case Finder.Later:
                for (int operation = 0; operation < LaterOperations; operation++)
                {
                    misuse.AllocateAgain();
                }

                break;
            case Finder.Flush:
                KmemHeap.Shared.Trim();
                break;
            default:
                KmemHeap.Shared.Validate();
                break;
        }
    }

    /// <summary>Whether a mistake was found on the way.</summary>
    private static bool Try(Action action)
    {
        try
        {
            action();
            return false;
        }
        catch (Exception found) when (found is KmemMisuseException or LeakFoundException)
        {
            return true;
        }
    }
}
